/** The ports through which the IoT parts use the rest of the embedded cloud. */
import { ACCOUNT_ID, REGION } from "../core/service.ts";

export type Log = (entry: LogEntry) => void;
export interface LogEntry {
  level: "info" | "warn" | "error";
  message: string;
  [detail: string]: unknown;
}

/** A refusal to a device, as AWS IoT would log it. */
export interface RefusedEvent {
  kind: "tls" | "protocol" | "connect" | "publish" | "subscribe" | "receive" | "session" | "credentials";
  /** Why, in words for an operator. */
  reason: string;
  /** Milliseconds since 1970. */
  at: number;
  ipAddress: string;
  certificateId?: string;
  clientId?: string;
  /** The topic, topic filter or role alias asked for. */
  resource?: string;
}
export type OnRefused = (event: RefusedEvent) => void;

/** The ARN of an AWS IoT resource, such as `iotArn("cert", id)`. */
export function iotArn(kind: string, name: string): string {
  return `arn:aws:iot:${REGION}:${ACCOUNT_ID}:${kind}/${name}`;
}
