import type { AnswerCheck } from "#shared/protocol/defined-machine.ts";
import { UsageError } from "../errors.ts";

/** `192.0.2.7:5432`, a connection that the target host can open; throws `UsageError` about `command`. */
export function answerCheck(text: string, command: string): AnswerCheck {
  const [, host = "", port = ""] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  if (host === "") throw new UsageError(`--answer takes ADDRESS:PORT, not ${text}`, command);
  return { kind: "tcp", host, port: Number(port) };
}
