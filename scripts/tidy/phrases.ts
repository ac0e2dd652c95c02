/** Phrases that docs/style.md replaces by plain ones. */
import { type Finding, lineAt } from "./source.ts";

export interface Phrase {
  phrase: string;
  instead: string;
}

/** The rows of the table below the heading "Phrases": `phrase`, or several with commas, and what to write. */
export function phrasesOf(style: string): Phrase[] {
  const section = /^## Phrases$([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(style)?.[1] ?? "";
  const rows = [...section.matchAll(/^\| (`.+?) \| (.+) \|$/gm)];
  return rows.flatMap(([, cell = "", instead = ""]) =>
    [...cell.matchAll(/`([^`]+)`/g)].map(([, phrase = ""]) => ({ phrase, instead })),
  );
}

/** Between two words of a phrase: spaces, or the end of a line with the next one's comment or quote mark. */
const GAP = "(?: |\\s*\\n\\s*(?:\\*|//|>)?\\s*)";

export function phraseFindings(path: string, text: string, phrases: readonly Phrase[]): Finding[] {
  return phrases.flatMap(({ phrase, instead }) => {
    const pattern = phrase.split(" ").map(literally).join(GAP);
    return [...text.matchAll(new RegExp(`(?<![\\w-])${pattern}(?![\\w-])`, "gi"))].map(({ index }) => ({
      path,
      line: lineAt(text, index),
      message: `"${phrase}": write ${instead}`,
    }));
  });
}

function literally(word: string): string {
  return word.replace(/[.*+?^$()[\]{}|\\]/g, "\\$&");
}
