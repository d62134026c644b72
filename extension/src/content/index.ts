// The script in a page: finds numbers, offers a button beside the one that is pointed at, and asks the worker to dial on a
// trusted gesture. Nothing of the page leaves but the number that was clicked, and a name beside it.
import type { CountryCode } from 'libphonenumber-js/max';
import { isFields } from '../api/check.ts';
import { numberOfLink } from '../find/link.ts';
import { nameBeside } from '../find/name.ts';
import { regionOfPage, toRegion } from '../find/numbers.ts';
import { ask, newGesture } from '../messages.ts';
import type { FoundNumber, PageSettings } from '../messages.ts';
import { rectsOf, startScanner } from './scan.ts';
import type { Mark, Scanner } from './scan.ts';
import { makeSurface } from './surface.ts';
import type { Surface } from './surface.ts';

const linkSelector = 'a[href^="tel:" i], a[href^="callto:" i], area[href^="tel:" i]';
const doubleClickMs = 600; // after the answer: who clicks twice means once

declare global {
  var clickToDial: AbortController | undefined; // in our own world: the page's script does not see it
}

if (globalThis.clickToDial === undefined || globalThis.clickToDial.signal.aborted) {
  const life = new AbortController();
  globalThis.clickToDial = life;
  void start(life);
}

async function start(life: AbortController): Promise<void> {
  if (document.body === null || innerWidth < 40 || innerHeight < 20) return; // a frame that nobody sees
  const answer = await ask<'page.settings'>({ type: 'page.settings' });
  if (!answer.ok || !answer.value.active) return;
  new Page(answer.value, life);
}

class Page {
  readonly #settings: PageSettings;
  readonly #life: AbortController;
  readonly #region: CountryCode;
  readonly #scanner: Scanner;
  readonly #surface: Surface;
  #offered: Mark | null = null;
  #stepped: Mark | null = null;
  #pointer: PointerEvent | null = null;
  #last = { number: '', until: 0 };

  constructor(settings: PageSettings, life: AbortController) {
    this.#settings = settings;
    this.#life = life;
    const signal = life.signal;
    const ours = toRegion(settings.region) ?? 'NL';
    const pages = regionOfPage(location.hostname, document.documentElement.lang);
    this.#region = pages ?? ours;
    this.#scanner = startScanner([...new Set([pages ?? ours, ours])], signal);
    this.#surface = makeSurface(settings.texts.dismiss, signal);

    const passive = { signal, passive: true, capture: true };
    document.addEventListener('pointermove', (event) => this.#pointed(event), passive);
    document.addEventListener('scroll', () => this.#withdraw(), passive);
    document.addEventListener('pointerdown', (event) => { if (!this.#surface.isOwn(event.target)) this.#withdraw(); }, passive);
    // On window and capturing: before any listener of the page.
    window.addEventListener('click', (event) => this.#clicked(event), { signal, capture: true });
    const listener = (message: unknown, sender: chrome.runtime.MessageSender, answer: (value: unknown) => void): boolean => {
      if (sender.id !== chrome.runtime.id || !isFields(message)) return false;
      switch (message['type']) {
        case 'numbers.list':
          void this.#scanner.settled().then(() => answer(this.#list()));
          return true;
        case 'numbers.step':
          void this.#scanner.settled().then(() => this.#step());
          answer(true);
          return false;
        case 'call.said':
          if (typeof message['sentence'] === 'string') this.#surface.say(message['sentence'], message['bad'] === true);
          answer(true);
          return false;
        default:
          return false;
      }
    };
    chrome.runtime.onMessage.addListener(listener);
    signal.addEventListener('abort', () => chrome.runtime?.onMessage?.removeListener(listener), { once: true });
  }

  /** A tel: link, by a person's own click. A click that a script made goes where the page wants it, as without us. */
  #clicked(event: MouseEvent): void {
    if (!event.isTrusted || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || this.#settings.leaveTel) return;
    const link = event.composedPath().find((node): node is Element => node instanceof Element && node.matches(linkSelector));
    if (link === undefined) return;
    const found = numberOfLink(link.getAttribute('href') ?? '', this.#region);
    if (found === null) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    void this.#dial(found.number, nameBeside(link));
  }

  #pointed(event: PointerEvent): void {
    if (!event.isTrusted || event.buttons !== 0 || this.#surface.isOwn(event.target)) return;
    const waiting = this.#pointer !== null;
    this.#pointer = event;
    if (!waiting) requestAnimationFrame(() => this.#look());
  }

  #look(): void {
    const event = this.#pointer;
    this.#pointer = null;
    if (event === null || this.#life.signal.aborted) return;
    const mark = this.#under(event.clientX, event.clientY);
    if (mark !== null) this.#offer(mark, false);
    else if (this.#offered !== null && !this.#isNear(this.#offered, event.clientX, event.clientY)) this.#withdraw();
  }

  #under(x: number, y: number): Mark | null {
    const [node, offset] = caretAt(x, y);
    const mark = node === null ? null : this.#scanner.at(node, offset);
    return mark !== null && rectsOf(mark).some((rect) => x >= rect.left && x <= rect.right && y >= rect.top && y <= rect.bottom) ? mark : null;
  }

  /** On the way from the number to its button. */
  #isNear(mark: Mark, x: number, y: number): boolean {
    return rectsOf(mark).some((rect) => x >= rect.left - 12 && x <= rect.right + 40 && y >= rect.top - 14 && y <= rect.bottom + 14);
  }

  #offer(mark: Mark, focus: boolean): void {
    const rect = rectsOf(mark).at(-1);
    if (rect === undefined) return;
    const same = this.#offered?.node === mark.node && this.#offered.found === mark.found;
    if (same && !focus && this.#surface.offered()) return;
    this.#offered = mark;
    const text = this.#settings.texts.call.replace('$1', mark.found.display);
    this.#surface.offer({ label: text, text: mark.found.display, rect, chosen: () => void this.#dialMark(mark) }, focus);
  }

  #withdraw(): void {
    if (this.#offered === null) return;
    this.#offered = null;
    this.#surface.withdraw();
  }

  async #dialMark(mark: Mark): Promise<void> {
    this.#surface.busy(true);
    await this.#dial(mark.found.number, nameBeside(mark.node.parentElement));
    this.#surface.busy(false);
    this.#withdraw();
  }

  async #dial(number: string, name: string | null): Promise<void> {
    if (this.#last.number === number && performance.now() < this.#last.until) return;
    this.#last = { number, until: Infinity };
    this.#surface.say(this.#settings.texts.calling, false);
    try {
      const answer = await ask<'page.dial'>({ type: 'page.dial', number, name, gesture: newGesture() });
      if (answer.ok) this.#surface.say(answer.value.sentence, false);
      else this.#surface.say(answer.failure.sentence, true);
    } catch {
      this.#surface.say(this.#settings.texts.gone, true); // the extension was updated under us
      this.#life.abort();
    }
    this.#last = { number, until: performance.now() + doubleClickMs };
  }

  /** The keyboard's way: brings the next number into view, with the focus on its button. */
  #step(): void {
    const marks = this.#scanner.marks();
    const at = marks.findIndex((mark) => mark.node === this.#stepped?.node && mark.found.start === this.#stepped.found.start);
    const next = marks[(at + 1) % marks.length];
    if (next === undefined) return this.#surface.say(this.#settings.texts.none, true);
    this.#stepped = next;
    next.node.parentElement?.scrollIntoView({ block: 'center' });
    requestAnimationFrame(() => requestAnimationFrame(() => this.#offer(next, true))); // after the scroll's own event
  }

  /** Numbers in text and in links, each once, in the order of the page. */
  #list(): FoundNumber[] {
    const out = new Map<string, FoundNumber>();
    for (const link of document.querySelectorAll(linkSelector)) {
      const found = numberOfLink(link.getAttribute('href') ?? '', this.#region);
      if (found !== null && !out.has(found.number)) out.set(found.number, { ...found, name: nameBeside(link) });
    }
    for (const { node, found } of this.#scanner.marks()) {
      if (!out.has(found.number)) out.set(found.number, { number: found.number, display: found.display, name: nameBeside(node.parentElement) });
    }
    return [...out.values()].slice(0, 100);
  }
}

function caretAt(x: number, y: number): [Node | null, number] {
  if ('caretPositionFromPoint' in document) { // Chrome 128
    const position = document.caretPositionFromPoint(x, y);
    return position === null ? [null, 0] : [position.offsetNode, position.offset];
  }
  return caretOfOldChrome(x, y);
}

function caretOfOldChrome(x: number, y: number): [Node | null, number] {
  const range = Document.prototype.caretRangeFromPoint.call(document, x, y);
  return range === null ? [null, 0] : [range.startContainer, range.startOffset];
}
