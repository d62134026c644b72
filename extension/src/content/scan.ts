// Walks a page's text in idle chunks of 8 ms and keeps, for each text node, where its numbers are. Nothing is added to the
// page: the places are StaticRanges in a Highlight, which cost the page nothing when its text changes.
import type { CountryCode } from 'libphonenumber-js/max';
import { findNumbers } from '../find/numbers.ts';
import type { Found } from '../find/numbers.ts';

export interface Mark {
  node: Text;
  found: Found;
}

const chunkMs = 8;
const longestText = 100_000; // of one text node
// Text that is not prose, or that somebody is editing.
const skipped = 'script,style,noscript,template,textarea,input,select,option,code,pre,kbd,samp,svg,math,time,canvas,object,iframe,' +
  '[contenteditable]:not([contenteditable="false"]),[role="textbox"],[role="searchbox"],.CodeMirror,.cm-editor,.monaco-editor';

export interface Scanner {
  marks: () => Mark[]; // in the order of the page
  at: (node: Node, offset: number) => Mark | null;
  settled: () => Promise<void>; // when all that is there has been read, or after 2 s
}

export function startScanner(regions: readonly CountryCode[], signal: AbortSignal): Scanner {
  const highlight = new Highlight();
  const byNode = new Map<Text, { found: Found[]; ranges: StaticRange[] }>();
  const fresh = new Map<Text, Found[]>(); // found since the highlight was last changed
  const queue = new Set<Node>();
  let walking: Generator<undefined> | null = null;
  let idle = 0;
  const waiting: (() => void)[] = [];

  CSS.highlights.set('click-to-dial', highlight);

  function forget(node: Text): void {
    for (const range of byNode.get(node)?.ranges ?? []) highlight.delete(range);
    byNode.delete(node);
    fresh.delete(node);
  }

  function read(node: Text): void {
    if (byNode.size > 0 || fresh.size > 0) forget(node);
    if (node.length < 7 || node.length > longestText) return;
    const found = findNumbers(node.data, regions);
    if (found.length > 0) fresh.set(node, found);
  }

  function* walk(): Generator<undefined> {
    for (const root of queue) {
      queue.delete(root);
      if (!root.isConnected) continue;
      const parent = root instanceof Element ? root : root.parentElement;
      if (parent === null || parent.closest(skipped) !== null) continue;
      if (root instanceof Text) {
        read(root);
        yield;
        continue;
      }
      const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) =>
        (node instanceof Element && node.matches(skipped) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT));
      for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
        if (node instanceof Text) read(node);
        yield;
      }
    }
  }

  function work(deadline: IdleDeadline): void {
    idle = 0;
    if (signal.aborted) return;
    walking ??= walk();
    const until = performance.now() + Math.max(1, Math.min(chunkMs, deadline.didTimeout ? chunkMs : deadline.timeRemaining()));
    let steps = 0;
    for (;;) {
      if (walking.next().done === true) {
        walking = null;
        break;
      }
      steps += 1;
      if (steps % 16 === 0 && performance.now() >= until) break; // the clock itself costs
    }
    if (walking !== null || queue.size > 0) schedule();
    else flush();
  }

  /** The highlight changes once, when all has been read. */
  function flush(): void {
    for (const [node, found] of fresh) {
      const ranges = found.map(({ start, end }) => new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end }));
      byNode.set(node, { found, ranges });
      for (const range of ranges) highlight.add(range);
    }
    fresh.clear();
    for (const node of byNode.keys()) {
      if (!node.isConnected) forget(node);
    }
    for (const go of waiting.splice(0)) go();
  }

  function schedule(): void {
    if (idle === 0 && !signal.aborted) idle = requestIdleCallback(work, { timeout: 1000 });
  }

  const observer = new MutationObserver((records) => {
    for (const record of records) {
      if (record.type === 'characterData') queue.add(record.target);
      else for (const node of record.addedNodes) if (node instanceof Element || node instanceof Text) queue.add(node);
    }
    if (queue.size > 0) schedule();
  });

  if (document.body !== null && document.designMode !== 'on') {
    queue.add(document.body);
    observer.observe(document.documentElement, { childList: true, characterData: true, subtree: true });
    schedule();
  }
  signal.addEventListener('abort', () => {
    observer.disconnect();
    cancelIdleCallback(idle);
    CSS.highlights.delete('click-to-dial');
    byNode.clear();
    fresh.clear();
  }, { once: true });

  return {
    marks: () => {
      flush();
      return [...byNode].flatMap(([node, { found }]) => found.map((one) => ({ node, found: one }))).sort(inPageOrder);
    },
    settled: () => new Promise((resolve) => {
      if (idle === 0 && walking === null) return resolve();
      waiting.push(resolve);
      setTimeout(resolve, 2000);
    }),
    at: (node, offset) => {
      if (!(node instanceof Text)) return null;
      const found = byNode.get(node)?.found.find((one) => one.start <= offset && offset <= one.end);
      return found === undefined ? null : { node, found };
    },
  };
}

function inPageOrder(a: Mark, b: Mark): number {
  if (a.node === b.node) return a.found.start - b.found.start;
  return a.node.compareDocumentPosition(b.node) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1;
}

export function rectsOf({ node, found }: Mark): DOMRect[] {
  if (!node.isConnected || found.end > node.length) return [];
  const range = document.createRange();
  range.setStart(node, found.start);
  range.setEnd(node, found.end);
  return [...range.getClientRects()];
}
