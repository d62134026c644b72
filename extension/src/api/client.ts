// The one place that talks HTTP, and only to the configured server.
import type { Failure, Reply } from '../messages.ts';
import { Unexpected } from './check.ts';
import { parseProblem } from './parse.ts';
import type { ProblemDocument } from './types.ts';

export class Refused extends Error {
  readonly problem: ProblemDocument;
  readonly status: number; // 0: no answer came

  constructor(problem: ProblemDocument, status: number) {
    super(problem.code);
    this.problem = problem;
    this.status = status;
  }
}

export function refusal(code: string, status = 0, detail: string | null = null): Refused {
  return new Refused(problemFor(code, detail), status);
}

function problemFor(code: string, detail: string | null = null): ProblemDocument {
  return { code, detail, confirm: null, error: null, revoked: null };
}

export interface Exchange {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  json?: unknown;
  form?: URLSearchParams;
  token?: string;
  idempotencyKey?: string;
  language: string;
  timeoutMs?: number;
}

/** One request, one answer: the JSON of a 2xx (null when empty), else Refused. */
export async function exchange(server: string, request: Exchange): Promise<unknown> {
  const headers = new Headers({ Accept: 'application/json, application/problem+json', 'Accept-Language': request.language });
  if (request.token !== undefined) headers.set('Authorization', `Bearer ${request.token}`);
  if (request.idempotencyKey !== undefined) headers.set('Idempotency-Key', request.idempotencyKey);
  if (request.json !== undefined) headers.set('Content-Type', 'application/json');

  let answer: Response;
  let body: string;
  try {
    answer = await fetch(server + request.path, {
      method: request.method,
      headers,
      body: request.form ?? (request.json === undefined ? null : JSON.stringify(request.json)),
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error', // a redirect could lead to another host
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(request.timeoutMs ?? 8000),
    });
    body = await answer.text();
  } catch {
    throw refusal('server-unreachable');
  }
  const value = parseJson(body);
  if (!answer.ok) throw new Refused(value === undefined ? byStatus(answer.status) : parseProblem(value), answer.status);
  if (body === '') return null;
  if (value === undefined) throw refusal('bad-answer', answer.status);
  return value;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** For an answer that no server of ours wrote: a proxy's page, say. */
function byStatus(status: number): ProblemDocument {
  const code = status === 502 || status === 503 || status === 504 ? 'server-unreachable' : status === 401 ? 'unauthorized' : 'bad-answer';
  return problemFor(code);
}

/** Sends again, with the same key, what may have been lost on the way. Nothing is sent later than 9 s after the click. */
export async function persist<T>(send: () => Promise<T>, pausesMs: readonly number[] = [300, 1200], withinMs = 9000): Promise<T> {
  const began = Date.now();
  for (const pause of [...pausesMs, null]) {
    try {
      return await send();
    } catch (error) {
      const lost = error instanceof Refused && error.status === 0 && error.problem.code === 'server-unreachable';
      if (!lost || pause === null || Date.now() - began + pause > withinMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  throw refusal('server-unreachable');
}

/** Runs a piece of work and turns what it threw into one sentence. */
export async function reply<T>(work: () => Promise<T>, sentence: (problem: ProblemDocument) => string): Promise<Reply<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, failure: failureOf(error, sentence) };
  }
}

export function failureOf(error: unknown, sentence: (problem: ProblemDocument) => string): Failure {
  const problem = problemOf(error);
  return { code: problem.code, sentence: sentence(problem) };
}

export function problemOf(error: unknown): ProblemDocument {
  if (error instanceof Refused) return error.problem;
  return problemFor(error instanceof Unexpected ? 'bad-answer' : 'extension');
}
