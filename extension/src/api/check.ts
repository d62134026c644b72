// Small checks by which outside data, unknown until then, becomes a type. Each throws Unexpected with the path of what
// was wrong and never with its value.

export class Unexpected extends Error {}

export type Fields = Record<string, unknown>;

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fields(value: unknown, what: string): Fields {
  if (!isFields(value)) throw new Unexpected(`${what} is no object`);
  return value;
}

export function text(of: Fields, key: string): string {
  const value = of[key];
  if (typeof value !== 'string') throw new Unexpected(`${key} is no text`);
  return value;
}

export function textOrNull(of: Fields, key: string): string | null {
  return of[key] === undefined || of[key] === null ? null : text(of, key);
}

export function count(of: Fields, key: string): number {
  const value = of[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new Unexpected(`${key} is no number`);
  return value;
}

export function countOrNull(of: Fields, key: string): number | null {
  return of[key] === undefined || of[key] === null ? null : count(of, key);
}

export function flag(of: Fields, key: string): boolean {
  return of[key] === true;
}

export function oneOf<T extends string>(of: Fields, key: string, allowed: readonly T[]): T {
  const value = allowed.find((word) => word === of[key]);
  if (value === undefined) throw new Unexpected(`${key} is an unknown word`);
  return value;
}

export function list(of: Fields, key: string): unknown[] {
  const value = of[key];
  if (!Array.isArray(value)) throw new Unexpected(`${key} is no list`);
  return value;
}

export function texts(of: Fields, key: string): string[] {
  return list(of, key).filter((item): item is string => typeof item === 'string');
}
