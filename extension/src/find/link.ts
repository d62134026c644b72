// Numbers in links: tel: (RFC 3966) and the older callto:. A link says itself that it is a number, so nothing is guessed.
import { parsePhoneNumberFromString } from 'libphonenumber-js/max';
import type { CountryCode } from 'libphonenumber-js/max';

export interface LinkNumber {
  number: string; // what is dialled: the link's own digits, with ;ext= where it has an extension
  display: string;
}

/** The number of a link's address, or null when it holds none. */
export function numberOfLink(href: string, region: CountryCode): LinkNumber | null {
  const match = /^(?:tel|callto):(?:\/\/)?(.*)$/is.exec(href.trim());
  if (match?.[1] === undefined) return null;
  const [subscriber = '', ...parameters] = decode(match[1]).split(';');
  const digits = tidy(subscriber.split('?')[0] ?? '');
  if (subscriber.includes('%') || !/\d/.test(digits) || digits.length > 40) return null;
  const context = parameter(parameters, 'phone-context');
  const global = context !== null && /^\+\d+$/.test(tidy(context)) && !digits.startsWith('+') ? tidy(context) + digits.replace(/^0/, '') : digits;
  const extension = parameter(parameters, 'ext')?.replace(/\D/g, '') ?? '';
  const parsed = parsePhoneNumberFromString(global, region);
  const valid = parsed?.isValid() === true;
  const own = valid ? parsed.number : global;
  const display = valid ? parsed.formatInternational() : global;
  return extension === ''
    ? { number: own + pauses(subscriber), display }
    : { number: `${own};ext=${extension}`, display: `${display} ext. ${extension}` };
}

function parameter(parameters: readonly string[], name: string): string | null {
  const found = parameters.find((item) => item.toLowerCase().startsWith(`${name}=`));
  return found === undefined ? null : found.slice(name.length + 1);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a lone % : as it stands
  }
}

/** Digits, +, * and # of what stands before a pause. */
function tidy(text: string): string {
  return (text.split(/[,pw]/i)[0] ?? '').replace(/\(0\)/g, '').replace(/[^\d+*#]/g, '');
}

/** "0201234567,123": the digits after the pause are an extension, dialled after the answer. */
function pauses(subscriber: string): string {
  const tail = /[,pw]+\s*(\d{1,8})\s*#?$/i.exec(subscriber)?.[1];
  return tail === undefined ? '' : `;ext=${tail}`;
}
