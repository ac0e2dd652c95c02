/**
 * For tests: `bcdedit` in memory, which prints in the form of Microsoft's documentation. It knows what the
 * documentation says about the commands that are used, and nothing of real Windows.
 */
import type { ProgramOutput } from "../../machine/machine.ts";
import type { WindowsMachine } from "../bcd.ts";
import { BOOT_MANAGER, FIRMWARE_BOOT_MANAGER } from "../bcd-output.ts";

const LOADER = "{1b2c3d4e-0000-4000-8000-00000000aaaa}";

/** `bcdedit /enum all /v` of a Windows Server on UEFI. */
export const UEFI_ENUMERATION = `
Firmware Boot Manager
---------------------
identifier              {a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}
displayorder            {9dea862c-5cdd-4e70-acc1-f32b344d4795}
                        {1b2c3d4e-0000-4000-8000-00000000bbbb}
timeout                 2

Windows Boot Manager
--------------------
identifier              {9dea862c-5cdd-4e70-acc1-f32b344d4795}
device                  partition=\\Device\\HarddiskVolume1
path                    \\EFI\\Microsoft\\Boot\\bootmgfw.efi
description             Windows Boot Manager
locale                  en-US
inherit                 {7ea2e1ac-2e61-4728-aaa3-896d9d0a9f0e}
default                 {1b2c3d4e-0000-4000-8000-00000000aaaa}
displayorder            {1b2c3d4e-0000-4000-8000-00000000aaaa}
toolsdisplayorder       {b2721d73-1db4-4c62-bf78-c548a880142d}
timeout                 30

Windows Boot Loader
-------------------
identifier              {1b2c3d4e-0000-4000-8000-00000000aaaa}
device                  partition=C:
path                    \\Windows\\system32\\winload.efi
description             Windows Server
osdevice                partition=C:
systemroot              \\Windows
nx                      OptOut

`;

/** The same in German, as far as Windows translates it, and on BIOS. */
export const GERMAN_BIOS_ENUMERATION = `
Windows-Start-Manager
---------------------
Bezeichner              {9dea862c-5cdd-4e70-acc1-f32b344d4795}
device                  partition=\\Device\\HarddiskVolume1
description             Windows Boot Manager
default                 {1b2c3d4e-0000-4000-8000-00000000aaaa}
displayorder            {1b2c3d4e-0000-4000-8000-00000000aaaa}
timeout                 30

Windows-Startladeprogramm
-------------------------
Bezeichner              {1b2c3d4e-0000-4000-8000-00000000aaaa}
device                  partition=C:
path                    \\Windows\\system32\\winload.exe
description             Windows Server
osdevice                partition=C:
`;

export class FakeWindows implements WindowsMachine {
  /** The commands that were run, without those that only read. */
  readonly commands: string[] = [];
  readonly #objects: Map<string, Map<string, string[]>>;
  secureBoot: boolean | "unknown" = false;
  bitLocker = false;
  administrator = true;
  /** Printed instead of what it has. */
  enumeration: string | undefined;
  esp: string | undefined = "S:";
  freeSpaceBytes = 10 ** 9;
  /** The command, by its order, after which the power is cut. */
  cutAfter = Number.POSITIVE_INFINITY;
  #created = 0;

  constructor({ uefi }: { uefi: boolean }) {
    this.#objects = new Map([
      [
        BOOT_MANAGER,
        new Map([
          ["displayorder", [LOADER]],
          ["description", ["Windows Boot Manager"]],
        ]),
      ],
      [LOADER, new Map([["description", ["Windows Server"]]])],
    ]);
    if (uefi) this.#objects.set(FIRMWARE_BOOT_MANAGER, new Map([["displayorder", [BOOT_MANAGER]]]));
  }

  espDrive = async () => this.esp;
  freeBytes = async () => this.freeSpaceBytes;
  exportPath = (jobId: string) => `C:\\ProgramData\\Causeway\\${jobId}.bcd`;

  /** The values of an object's element, by name. */
  element(id: string, name: string): string[] | undefined {
    return this.#objects.get(id)?.get(name);
  }

  async run(command: string, ...args: string[]): Promise<ProgramOutput | undefined> {
    if (command === "reg" && args[0] === "query")
      return this.secureBoot === "unknown"
        ? {
            status: 1,
            output: "ERROR: The system was unable to find the specified registry key or value.\r\n",
          }
        : answer(`    UEFISecureBootEnabled    REG_DWORD    0x${this.secureBoot ? 1 : 0}\r\n`);
    if (command === "powershell") return answer(this.bitLocker ? "1\r\n" : "0\r\n");
    if (!this.administrator)
      return {
        status: 1,
        output: "The boot configuration data store could not be opened.\r\nAccess is denied.\r\n",
      };
    if (args[0] === "/enum") return answer(this.enumeration ?? this.#print());
    if (this.commands.length >= this.cutAfter) throw new Error("the power was cut");
    this.commands.push(args.join(" "));
    return this.#change(args);
  }

  #change(args: string[]): ProgramOutput {
    const [verb, id = "", name = "", ...values] = args;
    switch (verb) {
      case "/export":
        return answer("The operation completed successfully.\r\n");
      case "/copy":
      case "/create":
        return this.#create(verb === "/copy" ? id : undefined, args[args.indexOf("/d") + 1] ?? "");
      case "/set": {
        const old = values.at(-1) === "/addlast" ? (this.element(id, name) ?? []) : [];
        this.#objects.get(id)?.set(name, [...old, ...values.filter((value) => value !== "/addlast")]);
        return answer("The operation completed successfully.\r\n");
      }
      case "/bootsequence":
        this.#objects.get(BOOT_MANAGER)?.set("bootsequence", [id]);
        return answer("The operation completed successfully.\r\n");
      case "/deletevalue":
        this.#objects.get(id)?.delete(name);
        return answer("The operation completed successfully.\r\n");
      case "/delete":
        this.#delete(id);
        return answer("The operation completed successfully.\r\n");
      default:
        return { status: 1, output: "The parameter is incorrect.\r\n" };
    }
  }

  #create(original: string | undefined, description: string): ProgramOutput {
    const id = `{1b2c3d4e-0000-4000-8000-0000000000${String(++this.#created).padStart(2, "0")}}`;
    const elements = new Map(original === undefined ? [] : this.#objects.get(original));
    this.#objects.set(id, elements.set("description", [description]));
    const verb = original === undefined ? "created" : "copied to";
    return answer(`The entry was successfully ${verb} ${id}.\r\n`);
  }

  #delete(id: string): void {
    this.#objects.delete(id);
    for (const elements of this.#objects.values()) {
      const order = elements.get("displayorder");
      if (order)
        elements.set(
          "displayorder",
          order.filter((each) => each !== id),
        );
    }
  }

  #print(): string {
    return [...this.#objects]
      .map(([id, elements]) => {
        const rows = [["identifier", [id]] as const, ...elements];
        const lines = rows.flatMap(([name, values]) =>
          values.map((value, index) => `${(index === 0 ? name : "").padEnd(24)}${value}`),
        );
        return ["", "Some Object", "-----------", ...lines].join("\r\n");
      })
      .join("\r\n");
  }
}

function answer(output: string): ProgramOutput {
  return { status: 0, output };
}
