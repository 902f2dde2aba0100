/** Why clients download a layer although none of its components changed. */

/** @param keptComponents whether a layer of the previous image holds the same components */
export function reasonWithoutChange(keptComponents: boolean): string {
  return keptComponents
    ? 'a directory above its files changed its mode, owner or xattrs, or the layer format changed'
    : 'its components come from layers that changed';
}
