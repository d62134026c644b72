// The name that a page gives beside a number: only where it says so (microdata, hCard, the text of the link itself).
const longest = 60;
const notNames = /^(?:bel(?:len)?|call|phone|tel(?:efoon|ephone|efon)?|anruf\w*|contact|mobiel|mobile|fax|click|klik|hier|here|ons|us|uns|nu|now|jetzt|nummer|number)\b/i;

export function nameBeside(element: Element | null): string | null {
  if (element === null) return null;
  const link = element.closest('a[href]');
  if (link !== null) {
    const own = tidyName(link.textContent);
    if (own !== null) return own;
  }
  const card = element.closest('.vcard, .h-card, [itemtype$="/Person"], [itemtype$="/Organization"], [itemtype$="/LocalBusiness"]');
  return card === null ? null : tidyName(card.querySelector('.fn, .p-name, [itemprop~="name"]')?.textContent ?? null);
}

export function tidyName(text: string | null): string | null {
  const name = (text ?? '').replace(/\p{C}/gu, ' ').replace(/\s+/g, ' ').trim();
  if (name.length < 2 || name.length > longest || /\d{3}/.test(name) || notNames.test(name) || !/\p{L}/u.test(name)) return null;
  return name;
}
