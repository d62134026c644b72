// Finds telephone numbers in a text. The library decides what a number is; before it a cheap look for places where one
// could be, after it a few rules against what only looks like one. Written rules alone score badly on fresh texts.
import { isSupportedCountry, searchPhoneNumbersInText } from 'libphonenumber-js/max';
import type { CountryCode, NumberFound } from 'libphonenumber-js/max';

export interface Found {
  start: number; // in UTF-16 units of the text that was given
  end: number;
  number: string; // +31201234567, with ;ext=12 where there is an extension
  display: string; // +31 20 123 4567
}

const fewestDigits = 7;
const margin = 48; // characters around a candidate: words before it tell much
const longestWindow = 2000;

/** Regions where people write national numbers without a trunk 0; elsewhere a national number starts with it. */
const withoutTrunkZero = new Set<string>(['US', 'CA', 'ES', 'PT', 'IT', 'DK', 'NO', 'LU', 'PL', 'GR', 'CZ', 'VA', 'SM']);

export function toRegion(region: string): CountryCode | null {
  return isSupportedCountry(region) ? region : null;
}

/** The region that a page itself suggests, by its host's ending or its language tag, or null. */
export function regionOfPage(host: string, lang: string): CountryCode | null {
  const ending = host.slice(host.lastIndexOf('.') + 1).toUpperCase();
  const byHost = toRegion(ending === 'UK' ? 'GB' : ending);
  if (byHost !== null && pageRegions.has(byHost)) return byHost;
  const tag = /^[a-z]{2,3}-([A-Z]{2})\b/.exec(lang)?.[1];
  return tag === undefined ? null : toRegion(tag);
}
// Not .io, .ai, .tv, .me and the like, which say nothing about a place.
const pageRegions = new Set<string>(['NL', 'BE', 'DE', 'GB', 'FR', 'LU', 'AT', 'CH', 'IT', 'ES', 'PT', 'DK', 'SE', 'NO', 'FI', 'PL', 'IE', 'CZ', 'US', 'CA', 'AU', 'NZ']);

// A place where a number could be: a + or 0 (or, without trunk zero, any digit) that does not stand inside a word or a
// longer number, and six digits more with only the signs between them that people write in numbers.
const between = String.raw`[\s().\/\-\u2010-\u2015\u2212]{0,4}`;
const rest = `(?:${between}\\d){${fewestDigits - 1}}`;
const candidates = {
  zero: new RegExp(String.raw`(?<![\w.,:#@=&%$€£+-])[+\uFF0B]?[(\[]?[+\uFF0B]?\d${rest}|(?<![\d.,])\(?0\d?${rest}`, 'g'),
  any: new RegExp(String.raw`(?<![\d.,])[+(]?\d${rest}`, 'g'),
};

// The library reads ", 0031" behind a number as its extension. Where a whole number follows, the comma parts two of them.
const partingComma = new RegExp(String.raw`,(?=\s+[+(]{0,2}\d${rest})`, 'g');

const strangeSpace = /[\u00a0\u2000-\u200a\u202f\u205f\u3000]/g; // one unit each, so places stay the same

export function findNumbers(text: string, regions: readonly CountryCode[]): Found[] {
  if (text.length < fewestDigits) return [];
  const plain = text.replace(strangeSpace, ' ');
  const parted = plain.replace(partingComma, '|');
  const all: Found[] = [];
  for (const region of regions) {
    for (const [from, to] of windows(plain, withoutTrunkZero.has(region) ? candidates.any : candidates.zero)) {
      for (const hit of searchPhoneNumbersInText(parted.slice(from, to), region)) {
        const found = accept(plain, from, hit, region);
        if (found !== null && !all.some((other) => found.start < other.end && other.start < found.end)) all.push(found);
      }
    }
  }
  return all.sort((a, b) => a.start - b.start);
}

/** The parts of a text that are worth the library's time. */
function windows(text: string, pattern: RegExp): [number, number][] {
  const out: [number, number][] = [];
  for (const match of text.matchAll(pattern)) {
    const from = Math.max(0, match.index - margin);
    const to = Math.min(text.length, match.index + match[0].length + margin);
    const last = out.at(-1);
    if (last !== undefined && from <= last[1] && to - last[0] <= longestWindow) last[1] = to;
    else out.push([last === undefined ? from : Math.max(from, Math.min(last[1], match.index)), to]);
  }
  return out;
}

// Words before a string of digits by which it is no telephone number, in four languages.
const otherThing = new RegExp(
  String.raw`(?:\b(?:order|bestel|factuur|invoice|rechnung|faktur|klant|kunden|customer|art(?:ikel)?|article|item|product|serie|serial|case|ticket|dossier|zaak|polis|ref(?:erentie|erence)?|id|imei|isbn|issn|ean|gtin|upc|sku|barcode|` +
    String.raw`kvk|kbo|bce|btw|vat|ust|tva|siren|siret|rsin|bsn|steuer|hrb|iban|bic|rekening|konto|account|patent|ep|us|doi|pmid|orcid|tracking|zending|sendung|trace|track|barcode|version|versie|build|rev|port|hash|commit|` +
    String.raw`card|kaart|karte|mastercard|visa|lat|lon|long|gps|coord\w*|unix|epoch|timestamp|lot|batch|charge|licen[cs]e|permit|docket|parcel|apn|registration|registratie|reg)(?:nummer|number|nr|no|code|[-\s]?id)?s?\b|[#№§€$£]|\b(?:EUR|USD|GBP|CHF))` +
    String.raw`[-\s]*(?:nummer|number|nr|no|num|code|id)?\s*[.:#=]*\s*$`, 'i');
const phoneWord = /(?:\b(?:tel(?:e(?:f|ph)o[on]n?\w*)?|phone|fax|mobi(?:el|le)|mob|gsm|cell|handy|bel(?:len)?|call|ruf\w*|anruf\w*|fon|durchwahl|contact|whatsapp|t|m|f|p)\b[.:]?|[☎✆📞📱])[^\d]{0,12}$/i;

// Extensions in words that the library does not know.
const extensionWord = /^,?\s{1,3}(?:tst|toestel|durchwahl|dw|poste)\.?\s{0,2}(\d{1,6})(?!\d)/i;

function accept(text: string, offset: number, hit: NumberFound, region: CountryCode): Found | null {
  const start = offset + hit.startsAt;
  const end = offset + hit.endsAt;
  const raw = text.slice(start, end);
  const before = text.slice(Math.max(0, start - 32), start);
  const after = text.slice(end, end + 12);
  const international = /^[([]?\s*(?:\+|00)/.test(raw);
  const named = phoneWord.test(before);
  const digits = raw.replace(/\D/g, '');

  if (/[\p{L}\p{N}_@#=&%$€£~\\]$/u.test(before) || /^[\p{L}\p{N}_@=%€$£]/u.test(after)) return null; // part of something longer
  if (/[\d][.,:/-]$/.test(before) || /^[.,:/-]\d/.test(after)) return null;
  if (/\/$/.test(before) || /^\s?(?:%|°|€|EUR|USD|euro|kg|km|mm|cm|ms|px|GB|MB)\b/i.test(after)) return null;
  if (otherThing.test(before) && !named) return null;
  if (/\b[A-Z]{2}\d{2}\s?(?:[A-Z]{4}\s?)?[\d ]*$/.test(before)) return null; // the rest of an IBAN
  if (hit.number.nationalNumber.length > 0 && /^0+$/.test(hit.number.nationalNumber)) return null;
  if (!international && !named) {
    if (looksLikeDate(raw) || looksLikeParts(raw, before, after)) return null;
    if (!withoutTrunkZero.has(region) && !/^[([]?0/.test(raw)) return null;
    if (withoutTrunkZero.has(region) && /^\d+$/.test(raw)) return null; // bare digits: an id as likely as a number
    if (withoutTrunkZero.has(region) && digits.length < 9) return null;
  }
  if (/^\d{1,3}(?:[.,]\d{3})+$/.test(raw)) return null; // 100.000.000
  if (/^\d+\.\d+$/.test(raw) && !named) return null; // a decimal fraction
  const inWords = hit.number.ext === undefined ? extensionWord.exec(text.slice(end, end + 24)) : null;
  const ext = hit.number.ext ?? inWords?.[1];
  return {
    start, end: end + (inWords?.[0].length ?? 0),
    number: hit.number.number + (ext === undefined ? '' : `;ext=${ext}`),
    display: hit.number.formatInternational(),
  };
}

/** 01-02-2024 09, 2024-01-02, 01.02.2024 – 03.04.2024 */
function looksLikeDate(raw: string): boolean {
  return /(?<!\d)(?:0?[1-9]|[12]\d|3[01])([-./])(?:0?[1-9]|1[0-2])\1(?:19|20)\d\d(?!\d)/.test(raw) || /(?<!\d)(?:19|20)\d\d([-./])(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)/.test(raw);
}

/** Groups that go on after it or before it, as in a card's or an account's number, or all of one length four. */
function looksLikeParts(raw: string, before: string, after: string): boolean {
  return /\d{2,}\s$/.test(before) || /^\s\d{2,}(?!\s?[a-z]{3,})/i.test(after) || /^\d{4}(?:[ -]\d{4}){2,}$/.test(raw);
}
