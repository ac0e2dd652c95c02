/** A source that a remote cold conversion accepts: GRUB can be armed, and the address is known. */
import { anInventory } from "#shared/domain/testing/records.ts";
import { restartable } from "#shared/domain/testing/restartable-source.ts";

export const readyMachine = anInventory(restartable);
