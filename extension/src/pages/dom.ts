// Small tools for our own pages. Text goes in as text: there is no HTML from strings.
import { isFields } from '../api/check.ts';
import { chooseTongue, translator } from '../language.ts';
import type { TextKey, Tongue, Translate } from '../language.ts';
import en from '../../_locales/en/messages.json';
import { readSettings } from '../storage.ts';

export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`no ${id} on this page`);
  return found;
}

export interface Look {
  class?: string;
  text?: string;
  title?: string;
  label?: string;
  hidden?: boolean;
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, look: Look = {}, ...children: Node[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (look.class !== undefined) element.className = look.class;
  if (look.text !== undefined) element.textContent = look.text;
  if (look.title !== undefined) element.title = look.title;
  if (look.label !== undefined) element.setAttribute('aria-label', look.label);
  if (look.hidden === true) element.hidden = true;
  element.append(...children);
  return element;
}

export function button(text: string, kind: string, pressed: () => void, label?: string): HTMLButtonElement {
  const element = make('button', { class: kind, text, ...(label !== undefined && { label }) });
  element.type = 'button';
  element.addEventListener('click', (event) => {
    if (event.isTrusted) pressed();
  });
  return element;
}

function isKey(key: string | undefined): key is TextKey {
  return key !== undefined && isFields(en) && key in en;
}

/** Puts the texts of the user's language where the page names them (data-t, data-t-label, data-t-placeholder). */
export async function speak(): Promise<{ t: Translate; tongue: Tongue }> {
  const tongue = chooseTongue((await readSettings()).language, chrome.i18n.getUILanguage());
  const t = translator(tongue);
  document.documentElement.lang = tongue;
  for (const element of document.querySelectorAll<HTMLElement>('[data-t], [data-t-label], [data-t-placeholder]')) {
    const { t: key, tLabel, tPlaceholder } = element.dataset;
    if (isKey(key)) element.textContent = t(key);
    if (isKey(tLabel)) element.setAttribute('aria-label', t(tLabel));
    if (isKey(tPlaceholder)) element.setAttribute('placeholder', t(tPlaceholder));
  }
  document.documentElement.classList.add('ready');
  return { t, tongue };
}

/** Replaces the children only when what they show has changed: a screen reader is not told the same thing twice. */
export function show(box: HTMLElement, key: string, children: () => Node[]): void {
  if (box.dataset['shown'] === key) return;
  box.dataset['shown'] = key;
  box.replaceChildren(...children());
}
