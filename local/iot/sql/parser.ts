import { filterProblem } from "../topic.ts";
import { sqlError, type Token, tokenize } from "./lexer.ts";

export type Expression =
  | { kind: "literal"; value: string | number | boolean | null }
  | { kind: "path"; fields: string[] }
  | { kind: "call"; name: FunctionName; level?: number }
  | { kind: "not"; operand: Expression }
  | { kind: "and" | "or"; left: Expression; right: Expression }
  | { kind: "compare"; operator: Operator; left: Expression; right: Expression };

export type Operator = "=" | "<>" | "<" | "<=" | ">" | ">=";
export type FunctionName = "topic" | "timestamp" | "clientid" | "principal";

/** One thing that a rule selects: everything, or a value under a name. */
export type Selection = { kind: "all" } | { kind: "value"; name: string; value: Expression };

export interface Statement {
  selections: Selection[];
  /** The topic filter after FROM. Absent in rules that only Basic Ingest can reach. */
  from?: string;
  where?: Expression;
}

const FUNCTIONS: readonly FunctionName[] = ["topic", "timestamp", "clientid", "principal"];
const OPERATORS: Record<string, Operator> = {
  "=": "=",
  "<>": "<>",
  "!=": "<>",
  "<": "<",
  "<=": "<=",
  ">": ">",
  ">=": ">=",
};
const KEYWORDS = [
  "SELECT",
  "FROM",
  "WHERE",
  "AS",
  "AND",
  "OR",
  "NOT",
  "TRUE",
  "FALSE",
  "NULL",
  "VALUE",
  "CASE",
  "IN",
];
const MAX_DEPTH = 50;

/** Parses a topic rule's SQL. Throws a `SqlParseException` that gives the position. */
export function parseSql(sql: string): Statement {
  return new Parser(tokenize(sql)).statement();
}

class Parser {
  readonly #tokens: Token[];
  #position = 0;
  #depth = 0;

  constructor(tokens: Token[]) {
    this.#tokens = tokens;
  }

  statement(): Statement {
    this.#expectKeyword("SELECT");
    const selections = this.#selections();
    const from = this.#takeKeyword("FROM") ? this.#filter() : undefined;
    const where = this.#takeKeyword("WHERE") ? this.#or() : undefined;
    if (this.#peek().kind !== "end") throw this.#unexpected("the end, or FROM and WHERE in this order");
    return { selections, ...(from !== undefined && { from }), ...(where && { where }) };
  }

  #selections(): Selection[] {
    const selections: Selection[] = [];
    const names = new Set<string>();
    do {
      const at = this.#peek().at;
      const selection = this.#selection();
      const name = selection.kind === "all" ? "*" : selection.name;
      if (names.has(name)) throw sqlError(`${name} is selected twice`, at);
      names.add(name);
      selections.push(selection);
    } while (this.#takeSymbol(","));
    return selections;
  }

  #selection(): Selection {
    if (this.#takeSymbol("*")) return { kind: "all" };
    const at = this.#peek().at;
    const value = this.#or();
    if (this.#takeKeyword("AS")) return { kind: "value", name: this.#name(), value };
    const last = value.kind === "path" ? value.fields.at(-1) : undefined;
    if (last === undefined) throw sqlError("what is not a field needs a name: AS name", at);
    return { kind: "value", name: last, value };
  }

  #filter(): string {
    const token = this.#next();
    if (token.kind !== "string") throw sqlError("FROM needs a topic filter in single quotes", token.at);
    const problem = filterProblem(token.text);
    if (problem) throw sqlError(`'${token.text}' is not a topic filter: ${problem}`, token.at);
    return token.text;
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#takeKeyword("OR")) left = { kind: "or", left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#takeKeyword("AND")) left = { kind: "and", left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    const at = this.#peek().at;
    if (!this.#takeKeyword("NOT")) return this.#comparison();
    return this.#nested(at, () => ({ kind: "not", operand: this.#not() }));
  }

  #comparison(): Expression {
    const left = this.#primary();
    const token = this.#peek();
    const operator = token.kind === "symbol" ? OPERATORS[token.text] : undefined;
    if (!operator) return left;
    this.#next();
    return { kind: "compare", operator, left, right: this.#primary() };
  }

  #primary(): Expression {
    const token = this.#peek();
    if (token.kind === "string") return { kind: "literal", value: this.#advance(token).text };
    if (token.kind === "number") return { kind: "literal", value: this.#advance(token).value };
    if (this.#takeSymbol("(")) {
      const inner = this.#nested(token.at, () => this.#or());
      this.#expectSymbol(")");
      return inner;
    }
    if (this.#takeKeyword("TRUE")) return { kind: "literal", value: true };
    if (this.#takeKeyword("FALSE")) return { kind: "literal", value: false };
    if (this.#takeKeyword("NULL")) return { kind: "literal", value: null };
    if (token.kind !== "word") throw this.#unexpected("a value");
    if (!token.quoted && this.#isSymbol("(", 1)) return this.#call();
    const fields = [this.#name()];
    while (this.#takeSymbol(".")) fields.push(this.#field());
    return { kind: "path", fields };
  }

  #call(): Expression {
    const token = this.#next();
    const name = FUNCTIONS.find((known) => token.kind === "word" && known === token.text.toLowerCase());
    if (!name) throw sqlError(`the functions are ${FUNCTIONS.join(", ")}`, token.at);
    this.#expectSymbol("(");
    const level = name === "topic" ? this.#level() : undefined;
    this.#expectSymbol(")");
    return { kind: "call", name, ...(level !== undefined && { level }) };
  }

  #level(): number | undefined {
    const token = this.#peek();
    if (token.kind !== "number") return undefined;
    if (!Number.isSafeInteger(token.value) || token.value < 1)
      throw sqlError("levels count from 1", token.at);
    return this.#advance(token).value;
  }

  #name(): string {
    const token = this.#peek();
    if (token.kind !== "word" || (!token.quoted && KEYWORDS.includes(token.text.toUpperCase()))) {
      throw this.#unexpected("a name (double quotes make one of any text)");
    }
    return this.#advance(token).text;
  }

  /** After a dot even a keyword is a field. */
  #field(): string {
    const token = this.#peek();
    if (token.kind !== "word") throw this.#unexpected("a field name");
    return this.#advance(token).text;
  }

  #nested<T>(at: number, parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw sqlError(`more than ${MAX_DEPTH} levels of nesting`, at);
    const result = parse();
    this.#depth--;
    return result;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[this.#position + ahead] ?? { kind: "end", at: 0 };
  }

  #next(): Token {
    return this.#advance(this.#peek());
  }

  #advance<T extends Token>(token: T): T {
    this.#position++;
    return token;
  }

  #isSymbol(text: string, ahead = 0): boolean {
    const token = this.#peek(ahead);
    return token.kind === "symbol" && token.text === text;
  }

  #takeSymbol(text: string): boolean {
    if (!this.#isSymbol(text)) return false;
    this.#position++;
    return true;
  }

  #takeKeyword(keyword: string): boolean {
    const token = this.#peek();
    if (token.kind !== "word" || token.quoted || token.text.toUpperCase() !== keyword) return false;
    this.#position++;
    return true;
  }

  #expectSymbol(text: string): void {
    if (!this.#takeSymbol(text)) throw this.#unexpected(text);
  }

  #expectKeyword(keyword: string): void {
    if (!this.#takeKeyword(keyword)) throw this.#unexpected(keyword);
  }

  #unexpected(wanted: string): Error {
    const token = this.#peek();
    const found = token.kind === "end" ? "the end" : token.kind === "number" ? token.value : token.text;
    return sqlError(`expected ${wanted}, found ${JSON.stringify(found)}`, token.at);
  }
}
