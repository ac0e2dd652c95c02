/** What fits beside a disk's map in a message. */
export const MOST_VOLUMES = 48;
export const MOST_WHOLE_COPIES = 16;
