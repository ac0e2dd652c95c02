/**
 * The ways in which a cutover quiets its source, one row each. The API's schema, the command line, the checks
 * of the source, the forecast and the workflow's input derive from these rows.
 */
import * as z from "zod";

/** What the last copy takes, apart from applying it. */
export type CopyPart = "boot-environment" | "capture" | "scan";

interface Row {
  /**
   * Whether it restarts the source into the boot environment, as some types of conversion do: its agent makes
   * the final sync there, and keeps the fence until the commit.
   */
  restartsSource: boolean;
  /** What the last copy takes, in order. */
  copy: readonly CopyPart[];
  /** One line for the command line's help; continues "hot: …". */
  summary: string;
}

const rows = {
  hot: {
    restartsSource: false,
    copy: ["capture"],
    summary: "its listed services stop, and it keeps running",
  },
  cold: {
    restartsSource: true,
    copy: ["boot-environment", "scan"],
    summary:
      "then it restarts into the boot environment, where all its disks are read, and with --prove their files are compared, too; in the end it is switched off",
  },
} as const satisfies Record<string, Row>;

export type Quiesce = keyof typeof rows;
const names = Object.keys(rows) as [Quiesce, ...Quiesce[]];
export const Quiesce = z.enum(names);

export const quiesces: Readonly<Record<Quiesce, Row>> = rows;

/** If nothing else is asked for. */
export const usualQuiesce: Quiesce = names[0];

/** As the command line's usage shows a choice. */
export const quiesceChoices: string = names.join("|");
