import { shellWord, unitPath, unitProse } from "../hypervisor/qemu/service/quoting.ts";

/**
 * Pauses the machine once its time is over, every second again. It stops the processes themselves, so neither
 * the hypervisor nor the guest has to take part, and it finds them by the machine's uuid, so it does not
 * matter who started them. It never lets a machine run: the agent does, after a renewal.
 */
export function guardScript({ uuid, deadline }: { uuid: string; deadline: string }): string {
  // No deadline means that the host was restarted: the time is over.
  return `#!/bin/bash
deadline=${shellWord(deadline)}
uuid=${shellWord(uuid)}
pause() {
  for process in /proc/[0-9]*; do
    mapfile -d '' -t words <"$process/cmdline" || continue
    for ((at = 0; at + 1 < \${#words[@]}; at++)); do
      if [[ \${words[at]} == -uuid && \${words[at + 1]} == "$uuid" ]]; then
        kill -STOP "\${process#/proc/}"
      fi
    done
  done
} 2>/dev/null
while :; do
  until=0
  read -r until 2>/dev/null <"$deadline"
  [[ $until =~ ^[0-9]{1,15}$ ]] || until=0
  read -r now _ </proc/uptime
  if ((\${now%.*} >= until)); then pause; fi
  sleep 1
done
`;
}

export function guardUnit({ name, script }: { name: string; script: string }): string {
  return lines(
    "[Unit]",
    `Description=Pauses the virtual machine ${unitProse(name)} when its lease lapses`,
    // These start machines after a restart of the host.
    "Before=libvirtd.service virtqemud.service libvirt-guests.service",
    // However often it fails, it is started again.
    "StartLimitIntervalSec=0",
    "",
    "[Service]",
    "Type=exec",
    `ExecStart=${unitPath(script)}`,
    "Restart=always",
    "RestartSec=1",
    "OOMScoreAdjust=-1000",
    "Nice=-10",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
  );
}

function lines(...all: string[]): string {
  return `${all.join("\n")}\n`;
}
