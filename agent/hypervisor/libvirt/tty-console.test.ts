import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { openTtyConsole } from "./tty-console.ts";

test("the console behind a terminal shows what the machine writes, and Enter reaches the machine", async () => {
  // The other end of the terminal, as QEMU has it: its input is what the machine writes.
  const machine = spawn("script", ["-qfc", "stty raw -echo; tty; exec sleep 60", "/dev/null"]);
  try {
    machine.stdout.setEncoding("latin1");
    const [shown] = (await once(machine.stdout, "data")) as [string];
    const terminal = await openTtyConsole(shown.trim());
    machine.stdin.write("web1 login: ");
    const [text] = (await once(terminal.output, "data")) as [string];
    expect(text).toBe("web1 login: ");
    const pressed = once(machine.stdout, "data");
    await terminal.pressEnter();
    expect((await pressed)[0]).toMatch(/\n$/);
    terminal.close();
  } finally {
    machine.kill("SIGKILL");
  }
});

test("a path that is not a terminal is refused", async () => {
  await expect(openTtyConsole("/etc/passwd")).rejects.toMatchObject({ name: "HypervisorFailedError" });
});
