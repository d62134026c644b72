// The one thing that we add to a page: an element with a closed shadow root at the end of its body, made when it is first
// needed. It holds the button beside a number and the sentence that tells what became of a click.
const style = `
:host { all: initial !important; position: fixed !important; inset: 0 auto auto 0 !important; width: 0 !important; height: 0 !important; z-index: 2147483647 !important; color-scheme: light dark !important; }
* { box-sizing: border-box; font: 500 13px/1.4 system-ui, sans-serif; }
button { cursor: pointer; border: 0; }
[hidden] { display: none !important; }
.call { position: fixed; display: inline-flex; align-items: center; gap: 6px; padding: 5px 11px 5px 8px; border-radius: 999px; background: #11706d; color: #fff; box-shadow: 0 2px 8px rgb(0 0 0 / .3); white-space: nowrap; }
.call:hover { background: #0d5956; }
.call:focus-visible, .close:focus-visible { outline: 2px solid #f7b500; outline-offset: 2px; }
.call[disabled] { opacity: .7; cursor: progress; }
.call::before { content: ""; width: 14px; height: 14px; background: currentColor; clip-path: polygon(14% 0, 34% 0, 44% 28%, 30% 40%, 60% 70%, 72% 56%, 100% 66%, 100% 86%, 86% 100%, 60% 96%, 30% 78%, 4% 40%, 0 14%); }
.say { position: fixed; right: 16px; bottom: 16px; display: flex; gap: 12px; align-items: flex-start; max-width: min(360px, calc(100vw - 32px)); padding: 12px 10px 12px 16px; border-radius: 12px; background: Canvas; color: CanvasText; border: 1px solid color-mix(in srgb, CanvasText 18%, Canvas); border-left: 4px solid #11706d; box-shadow: 0 6px 24px rgb(0 0 0 / .28); }
.say.bad { border-left-color: #c2410c; }
.close { flex: none; width: 24px; height: 24px; padding: 0; border-radius: 6px; background: transparent; color: inherit; font-size: 16px; line-height: 1; }
@media (forced-colors: active) { .call { border: 1px solid ButtonText; } }
`;
const settledMs = 250; // a button that was shown under a pointer about to click is not clicked

export interface Place {
  label: string; // "Call +31 20 123 4567"
  text: string; // what the button shows
  rect: DOMRect;
  chosen: () => void;
}

export interface Surface {
  offer: (place: Place, focus: boolean) => void;
  withdraw: () => void;
  busy: (busy: boolean) => void;
  say: (sentence: string, bad: boolean) => void;
  isOwn: (target: EventTarget | null) => boolean;
  offered: () => boolean;
}

export function makeSurface(dismiss: string, signal: AbortSignal): Surface {
  const host = document.createElement('div');
  const root = host.attachShadow({ mode: 'closed' });
  const sheet = new CSSStyleSheet(); // adopted: a page's Content-Security-Policy does not stop it
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];

  const button = document.createElement('button');
  button.className = 'call';
  button.type = 'button';
  button.hidden = true;
  const box = document.createElement('div');
  box.className = 'say';
  box.setAttribute('role', 'status');
  box.setAttribute('translate', 'no');
  box.hidden = true;
  const words = document.createElement('span');
  const close = document.createElement('button');
  close.className = 'close';
  close.type = 'button';
  close.textContent = '×';
  close.setAttribute('aria-label', dismiss);
  box.append(words, close);
  root.append(button, box);

  let chosen: (() => void) | null = null;
  let shownAt = 0;
  let returnTo: HTMLElement | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function attach(): void {
    if (!host.isConnected) document.body.append(host);
  }

  function withdraw(): void {
    chosen = null;
    button.hidden = true;
    returnTo?.focus({ preventScroll: true });
    returnTo = null;
  }

  button.addEventListener('click', (event) => {
    if (!event.isTrusted || chosen === null || button.disabled || performance.now() - shownAt < settledMs) return;
    chosen();
  }, { signal });
  root.addEventListener('keydown', (event) => {
    if (event instanceof KeyboardEvent && event.isTrusted && event.key === 'Escape') {
      withdraw();
      box.hidden = true;
    }
  }, { signal });
  close.addEventListener('click', () => { box.hidden = true; }, { signal });
  signal.addEventListener('abort', () => { setTimeout(() => host.remove(), box.hidden ? 0 : 6000); }, { once: true });

  return {
    offer: (place, focus) => {
      attach();
      if (button.hidden) shownAt = performance.now();
      chosen = place.chosen;
      button.textContent = place.text;
      button.setAttribute('aria-label', place.label);
      button.hidden = false;
      const { width, height } = button.getBoundingClientRect();
      const beside = place.rect.right + 6 + width <= innerWidth;
      const left = beside ? place.rect.right + 6 : Math.max(4, Math.min(place.rect.left, innerWidth - width - 4));
      const middle = place.rect.top + place.rect.height / 2 - height / 2;
      const top = beside ? middle : place.rect.bottom + height + 4 > innerHeight ? place.rect.top - height - 2 : place.rect.bottom + 2;
      button.style.left = `${left}px`;
      button.style.top = `${Math.max(2, Math.min(top, innerHeight - height - 2))}px`;
      if (!focus) return;
      returnTo = document.activeElement instanceof HTMLElement && document.activeElement !== host ? document.activeElement : null;
      button.focus({ preventScroll: true });
    },
    withdraw,
    busy: (busy) => { button.disabled = busy; },
    say: (sentence, bad) => {
      attach();
      box.hidden = false;
      box.classList.toggle('bad', bad);
      words.textContent = sentence;
      clearTimeout(timer);
      timer = setTimeout(() => { box.hidden = true; }, 8000);
    },
    isOwn: (target) => target === host,
    offered: () => !button.hidden,
  };
}
