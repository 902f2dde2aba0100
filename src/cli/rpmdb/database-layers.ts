/** Reads as few layers of an image as its package databases need. */
import { availableParallelism } from 'node:os';
import { RPMDB_COMPONENT } from '../../../plugins/rpm/index.js';
import { findRpmdb } from '../../../plugins/rpm/rpmdb/index.js';
import { type DatabaseKind, selectDatabaseLayers } from '../../image/database-layers.js';
import type { ReadLayer } from '../../image/encapsulated.js';
import type { Context } from '../../log.js';
import type { ImageReader } from '../../oci/image.js';
import { imageLayers } from '../../tree/layer-source.js';
import { openSpooledImage, type SpooledImage } from '../../tree/spooled-image.js';

/** rpm-ostree's copy of the database of the base commit, which lacks layered packages. */
const BASE_DB = '/usr/lib/sysimage/rpm-ostree-base-db/';

/**
 * Returns the RPM database as a kind of database.
 * @param directory where to look instead of the usual directories, like rpm's `--dbpath`
 */
export function rpmdbKind(directory?: string): DatabaseKind {
  return {
    component: RPMDB_COMPONENT,
    fileName: /(^|\/)(rpmdb\.sqlite|Packages(\.db)?)$/,
    isWhole(files) {
      const location = findRpmdb(files, directory);
      return location !== undefined && !location.database.startsWith(BASE_DB);
    },
  };
}

export interface DatabaseLayersOptions extends Context {
  readonly spool?: string | undefined;
}

/**
 * Opens the tree of an image as if it had only the layers that hold package databases. Throws what
 * {@link openSpooledImage} throws.
 */
export async function openDatabaseLayers(
  image: ImageReader,
  layers: readonly ReadLayer[],
  kinds: readonly DatabaseKind[],
  options: DatabaseLayersOptions,
): Promise<SpooledImage> {
  return openSpooledImage(await imageLayers(image), {
    ...options,
    jobs: availableParallelism(),
    skipSpecialFiles: true,
    selection: selectDatabaseLayers(layers, kinds),
  });
}
