import type { World } from "./world.ts";

/** The next command that is saved is not: the process is killed before. Later ones are saved. */
export function interruptNextSave({ conversions }: World["store"]): void {
  const save = conversions.saveCommand.bind(conversions);
  conversions.saveCommand = () => {
    conversions.saveCommand = save;
    return Promise.reject(new Error("killed"));
  };
}
