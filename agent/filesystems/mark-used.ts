/**
 * Takes a stretch of a volume that is used. Marks come in any order and may overlap; none can be taken back,
 * so a volume that turns out to be doubtful half-way is marked as a whole.
 */
export type MarkUsed = (offset: number, length: number) => void;
