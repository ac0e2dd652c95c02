/** The boot receipt of a source that was restarted, as the API shows it. */
import * as z from "zod";
import { BootReceipt } from "./boot-receipt.ts";
import { Timestamp } from "./common.ts";
import { RestarterId } from "./ids.ts";

/** A boot receipt, with the certificate to check it without the control plane. */
export const ConversionReceipt = z.object({
  /** Or the cutover. */
  conversionId: RestarterId,
  receipt: BootReceipt,
  receivedAt: Timestamp,
  /** The certificate that the control plane has stored for the source's agent. */
  certificatePem: z.string(),
});
export type ConversionReceipt = z.infer<typeof ConversionReceipt>;
