import type { World } from "./world.ts";

/** The next command that is saved is not: the process is killed before. Later ones are saved. */
export function interruptNextSave({ commands }: World["store"]): void {
  const save = commands.save.bind(commands);
  commands.save = () => {
    commands.save = save;
    return Promise.reject(new Error("killed"));
  };
}
