import { MessageTooLargeError } from "../errors/message.ts";

/** Of a message's JSON. AWS IoT takes 128 KiB; what is left is for the envelope that signs or names it. */
export const MAX_MESSAGE_BYTES: number = 120 * 1024;

export function jsonBytes(value: unknown): number {
  return textBytes(JSON.stringify(value));
}

/**
 * The message's JSON. Throws `MessageTooLargeError` for one that the broker would refuse together with the
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
