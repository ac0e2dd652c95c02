/** The fence of a source: what keeps its services down while a machine runs in its place. */
import * as z from "zod";
import { Timestamp } from "./common.ts";
import { OwnerId } from "./ids.ts";

/** A service that the source's agent is to keep down. `systemd-escape` makes names with backslashes. */
export const ServiceName = z
  .string()
  .regex(
    /^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,240}\.service$/,
    "the name of a service, such as postgresql.service",
  );

/**
 * What the source's systemd says of a service that is to be kept down. `not-found`: there is none of this
 * name, or the name is a template's, so it cannot be stopped. `stopped`: its name may be another one than
 * that of the service that was meant.
 */
export const ListedService = z.strictObject({
  name: ServiceName,
  state: z.enum(["running", "stopped", "not-found"]),
});
export type ListedService = z.infer<typeof ListedService>;

/** A person at the source's console broke the fence of this term: the source runs again. */
export const BrokenFence = z.object({
  term: z.int().nonnegative(),
  /** By the source's clock. */
  at: Timestamp,
  /** The user's name there. */
  by: z.string().max(100),
});
export type BrokenFence = z.infer<typeof BrokenFence>;

/** The commands on a source's fence; a part of `commands.ts`. */
export const fenceCommands = {
  /**
   * Puts the fence up or takes it down, unless the source knows of a later term. Repeating it is harmless.
   * Fails with `FenceInterruptedError` if one that is up already was to last, and its services may have run
   * meanwhile; and for a cutover, if the fence is to be up, and this term's is not.
   */
  "set-fence": {
    input: z.object({
      ownerId: OwnerId,
      term: z.int().positive(),
      isUp: z.boolean(),
      /**
       * Whether it is up after a restart, too. One that is not leaves no trace on the disks, so a copy that
       * is made meanwhile is not fenced.
       */
      lasting: z.boolean().default(true),
      /**
       * Whether the fence of this term has to be up already, with its services quiet since then: a copy was
       * made meanwhile. A fence that is put up only now would hide what they have written.
       */
      mustBeUp: z.boolean().default(false),
      /** For the person who logs in: which machine runs instead. */
      reason: z.string().max(300),
    }),
    output: z.object({
      term: z.int().nonnegative(),
      isUp: z.boolean(),
      /** Whether it is up after a restart, too. An older agent does not say. */
      lasting: z.boolean().optional(),
      /** The services that are kept down. */
      services: z.array(ServiceName).max(256),
    }),
  },
  /**
   * Shuts the source down once it has said so, if its fence of this term is up. It succeeds before that, so
   * it does not prove that the source is off.
   */
  "switch-off": {
    input: z.object({ ownerId: OwnerId, term: z.int().positive() }),
    output: z.object({}),
  },
} as const;
