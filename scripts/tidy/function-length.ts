import { Visitor } from "rolldown/utils";
import { type Finding, isTest, lineAt, type Source } from "./source.ts";

export const MAX_FUNCTION_LINES = 70;

/** Functions, methods and arrow functions that are too long, in all code but tests. */
export function functionLengthFindings({ path, text, program }: Source): Finding[] {
  if (isTest(path)) return [];
  const found: Finding[] = [];
  const look = ({ start, end }: { start: number; end: number }) => {
    const line = lineAt(text, start);
    const lines = lineAt(text, end) - line + 1;
    if (lines <= MAX_FUNCTION_LINES) return;
    found.push({ path, line, message: `a function of ${lines} lines (at most ${MAX_FUNCTION_LINES})` });
  };
  new Visitor({
    FunctionDeclaration: look,
    FunctionExpression: look,
    ArrowFunctionExpression: look,
  }).visit(program);
  return found;
}
