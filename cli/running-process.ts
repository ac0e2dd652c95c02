/** Whether a process with this id is running, under any user. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
