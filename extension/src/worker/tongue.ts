// The user's language, for texts the worker shows and for Accept-Language.
import { chooseTongue, problemSentence, translator } from '../language.ts';
import type { Tongue, Translate } from '../language.ts';
import type { ProblemDocument } from '../api/types.ts';
import { readSettings } from '../storage.ts';

export async function uiTongue(): Promise<Tongue> {
  return chooseTongue((await readSettings()).language, chrome.i18n.getUILanguage());
}

export async function uiTexts(): Promise<Translate> {
  return translator(await uiTongue());
}

export async function sayer(): Promise<(problem: ProblemDocument) => string> {
  const t = await uiTexts();
  return (problem) => problemSentence(t, problem.code, problem.detail);
}
