import type { Adapter } from "./adapter.ts";
import { bootImages } from "./adapters/boot-images.ts";
import { bootParameters } from "./adapters/boot-parameters.ts";
import { cardAddresses } from "./adapters/card-addresses.ts";
import { cardNames } from "./adapters/card-names.ts";
import { cloudInit } from "./adapters/cloud-init.ts";
import { crypttab } from "./adapters/crypttab.ts";
import { deviceMap } from "./adapters/device-map.ts";
import { dracut } from "./adapters/dracut.ts";
import { drillServices } from "./adapters/drill-services.ts";
import { drivers } from "./adapters/drivers.ts";
import { efiFallback } from "./adapters/efi-fallback.ts";
import { fstab } from "./adapters/fstab.ts";
import { hostKeys } from "./adapters/host-keys.ts";
import { initramfsTools } from "./adapters/initramfs-tools.ts";
import { lvmDevices } from "./adapters/lvm-devices.ts";
import { machineId } from "./adapters/machine-id.ts";
import { newAddresses } from "./adapters/new-addresses.ts";
import { selinux } from "./adapters/selinux.ts";

/** Everything that is adapted. Each sees the files as those before it leave them. */
export const ADAPTERS: readonly Adapter[] = [
  fstab,
  crypttab,
  bootParameters,
  bootImages,
  deviceMap,
  lvmDevices,
  efiFallback,
  drivers,
  initramfsTools,
  cardAddresses,
  cardNames,
  newAddresses,
  dracut,
  cloudInit,
  machineId,
  hostKeys,
  drillServices,
  selinux,
];
