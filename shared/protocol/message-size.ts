import { MessageTooLargeError } from "../errors/message.ts";

/** The limit of a message's JSON. AWS IoT accepts 128 KiB; the rest is for the envelope. */
export const MAX_MESSAGE_BYTES: number = 120 * 1024;

export function jsonBytes(value: unknown): number {
  return textBytes(JSON.stringify(value));
}

/**
 * The message's JSON. Throws `MessageTooLargeError` if it is so large that the broker would close the
 * connection.
 */
export function encodeMessage(message: object, what: string): string {
  const json = JSON.stringify(message);
  const bytes = textBytes(json);
  if (bytes > MAX_MESSAGE_BYTES) throw new MessageTooLargeError(what, bytes, MAX_MESSAGE_BYTES);
  return json;
}

function textBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
