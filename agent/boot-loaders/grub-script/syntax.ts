/** Parses GRUB's script language into commands, as grub-core/script/parser.y and yylex.l define it. */

/** A piece of a word. In an unquoted variable's value, spaces separate words. */
export type Part = { text: string } | { variable: string; quoted: boolean };
export type Word = readonly Part[];

export type ScriptCommand =
  | { kind: "simple"; words: readonly Word[]; block?: Block | undefined }
  | { kind: "if"; branches: readonly Branch[]; otherwise: readonly ScriptCommand[] }
  | { kind: "while"; until: boolean; condition: readonly ScriptCommand[]; body: readonly ScriptCommand[] }
  | { kind: "for"; variable: string; words: readonly Word[]; body: readonly ScriptCommand[] }
  | { kind: "function"; name: string; body: readonly ScriptCommand[] };

export interface Branch {
  condition: readonly ScriptCommand[];
  body: readonly ScriptCommand[];
}

/** The text between braces after a command: the commands of a menu entry. */
export interface Block {
  commands: readonly ScriptCommand[];
}

/** GRUB would not parse it either, or this parser cannot. */
export class GrubSyntaxError extends Error {}

type Token = { kind: "word"; word: Word; bare: string | undefined } | { kind: "mark"; text: string };

/** Characters that end a word if they are not quoted. */
const BREAKS = "{}|&;<> \t\r\n";
const VARIABLE = /^\$(?:\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?])\}|([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?]))/;
const DEEPEST = 100;

export function parseGrubScript(text: string): ScriptCommand[] {
  return new Parser(tokensOf(text)).script();
}

function tokensOf(text: string): Token[] {
  const source = text.replaceAll("\\\r\n", "").replaceAll("\\\n", "");
  const tokens: Token[] = [];
  for (let at = 0; at < source.length; ) {
    const character = source[at] ?? "";
    if (" \t\r".includes(character)) at++;
    else if (character === "#") {
      const end = source.indexOf("\n", at);
      at = end < 0 ? source.length : end;
    } else if (BREAKS.includes(character)) {
      tokens.push({ kind: "mark", text: character === ";" ? "\n" : character });
      at++;
    } else {
      const { token, end } = readWord(source, at);
      tokens.push(token);
      at = end;
    }
  }
  return tokens;
}

function readWord(source: string, start: number): { token: Token; end: number } {
  const parts: Part[] = [];
  let plain = "";
  let isBare = true;
  const flush = () => {
    if (plain !== "") parts.push({ text: plain });
    plain = "";
  };
  let at = start;
  while (at < source.length && !BREAKS.includes(source[at] ?? "")) {
    const character = source[at] ?? "";
    if (character === "\\") {
      plain += source[at + 1] ?? "";
      isBare = false;
      at += 2;
    } else if (character === "'") {
      const end = source.indexOf("'", at + 1);
      if (end < 0) throw new GrubSyntaxError("a quotation mark is not closed");
      // An empty text is a word, too.
      flush();
      parts.push({ text: source.slice(at + 1, end) });
      isBare = false;
      at = end + 1;
    } else if (character === '"' || source.startsWith('$"', at)) {
      flush();
      at = readQuoted(source, character === '"' ? at + 1 : at + 2, parts);
      isBare = false;
    } else if (character === "$") {
      const match = VARIABLE.exec(source.slice(at, at + 300));
      if (!match) throw new GrubSyntaxError("a dollar sign names no variable");
      flush();
      parts.push({ variable: match[1] ?? match[2] ?? "", quoted: false });
      isBare = false;
      at += match[0].length;
    } else {
      plain += character;
      at++;
    }
  }
  const bare = isBare ? plain : undefined;
  flush();
  return { token: { kind: "word", word: parts, bare }, end: at };
}

/** Appends the text between double quotes; returns the index behind the closing mark. */
function readQuoted(source: string, start: number, parts: Part[]): number {
  let plain = "";
  for (let at = start; at < source.length; ) {
    const character = source[at] ?? "";
    const next = source[at + 1] ?? "";
    if (character === '"') {
      parts.push({ text: plain });
      return at + 1;
    }
    const variable = character === "$" ? VARIABLE.exec(source.slice(at, at + 300)) : null;
    if (variable) {
      parts.push({ text: plain }, { variable: variable[1] ?? variable[2] ?? "", quoted: true });
      plain = "";
      at += variable[0].length;
    } else if (character === "\\" && '$"\\'.includes(next)) {
      plain += next;
      at += 2;
    } else {
      plain += character;
      at++;
    }
  }
  throw new GrubSyntaxError("a quotation mark is not closed");
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  script(): ScriptCommand[] {
    const commands = this.#commands([]);
    if (this.#at < this.#tokens.length) throw new GrubSyntaxError("something is closed that was not opened");
    return commands;
  }

  /** Up to one of these words or a closing brace, which is not consumed. */
  #commands(ends: readonly string[]): ScriptCommand[] {
    if (++this.#depth > DEEPEST) throw new GrubSyntaxError("commands are nested too deeply");
    const commands: ScriptCommand[] = [];
    for (;;) {
      while (this.#isMark("\n")) this.#at++;
      const token = this.#tokens[this.#at];
      if (!token || this.#isMark("}")) break;
      if (token.kind === "word" && token.bare !== undefined && ends.includes(token.bare)) break;
      commands.push(this.#command());
    }
    this.#depth--;
    return commands;
  }

  #command(): ScriptCommand {
    const token = this.#tokens[this.#at];
    if (token?.kind === "word") {
      if (token.bare === "if") return this.#if();
      if (token.bare === "while" || token.bare === "until") return this.#while(token.bare === "until");
      if (token.bare === "for") return this.#for();
      if (token.bare === "function") return this.#function();
    }
    return this.#simple();
  }

  #simple(): ScriptCommand {
    const words: Word[] = [];
    let block: Block | undefined;
    for (let token = this.#tokens[this.#at]; token; token = this.#tokens[this.#at]) {
      if (token.kind === "word") {
        if (block) throw new GrubSyntaxError("a word follows a block");
        words.push(token.word);
        this.#at++;
      } else if (token.text === "{" && words.length > 0 && !block) {
        block = { commands: this.#block() };
      } else if (token.text === "\n" || token.text === "}") break;
      else throw new GrubSyntaxError(`${token.text} is not expected`);
    }
    return { kind: "simple", words, block };
  }

  #block(): ScriptCommand[] {
    this.#expectMark("{");
    const commands = this.#commands([]);
    this.#expectMark("}");
    return commands;
  }

  #if(): ScriptCommand {
    const branches: Branch[] = [];
    let otherwise: ScriptCommand[] = [];
    for (let word = "if"; word !== "fi"; ) {
      this.#expectWord(word);
      if (word === "else") {
        otherwise = this.#commands(["fi"]);
        word = "fi";
        continue;
      }
      const condition = this.#commands(["then"]);
      this.#expectWord("then");
      branches.push({ condition, body: this.#commands(["elif", "else", "fi"]) });
      word = this.#bare() ?? "fi";
    }
    this.#expectWord("fi");
    return { kind: "if", branches, otherwise };
  }

  #while(until: boolean): ScriptCommand {
    this.#at++;
    const condition = this.#commands(["do"]);
    return { kind: "while", until, condition, body: this.#loopBody() };
  }

  #for(): ScriptCommand {
    this.#at++;
    const variable = this.#bare();
    if (variable === undefined) throw new GrubSyntaxError("a loop names no variable");
    this.#at++;
    this.#expectWord("in");
    const words: Word[] = [];
    for (let token = this.#tokens[this.#at]; token?.kind === "word"; token = this.#tokens[this.#at]) {
      words.push(token.word);
      this.#at++;
    }
    while (this.#isMark("\n")) this.#at++;
    return { kind: "for", variable, words, body: this.#loopBody() };
  }

  #loopBody(): ScriptCommand[] {
    this.#expectWord("do");
    const body = this.#commands(["done"]);
    this.#expectWord("done");
    return body;
  }

  #function(): ScriptCommand {
    this.#at++;
    const name = this.#bare();
    if (name === undefined) throw new GrubSyntaxError("a function has no name");
    this.#at++;
    while (this.#isMark("\n")) this.#at++;
    return { kind: "function", name, body: this.#block() };
  }

  #bare(): string | undefined {
    const token = this.#tokens[this.#at];
    return token?.kind === "word" ? token.bare : undefined;
  }

  #isMark(text: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "mark" && token.text === text;
  }

  #expectMark(text: string): void {
    if (!this.#isMark(text)) throw new GrubSyntaxError(`${text} is missing`);
    this.#at++;
  }

  #expectWord(word: string): void {
    if (this.#bare() !== word) throw new GrubSyntaxError(`${word} is missing`);
    this.#at++;
  }
}
