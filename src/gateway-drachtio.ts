import { readFileSync } from 'node:fs';
import { addressList, isListed } from './base/address-list.ts';
import { formatEndpoint } from './base/addresses.ts';
import type { Clock } from './base/clock.ts';
import { GatewayError } from './base/errors.ts';
import type { Logger } from './base/log.ts';
import type { DrachtioConfig } from './config/drachtio.ts';
import type { DrachtioRoute } from './control/drachtio-route.ts';
import { DrachtioDoors } from './sip/drachtio/drachtio-doors.ts';
import type { DoorHandlers, Doors } from './sip/embedded/engine-doors.ts';

/** The way to drachtio servers, as configured. */
export class DrachtioFront {
  readonly #config: DrachtioConfig;
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  #doors: DrachtioDoors | undefined;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }, config: DrachtioConfig) {
    this.#deps = deps;
    this.#config = config;
  }

  /** @throws GatewayError ERR_PORT_IN_USE, ERR_CONFIG naming a file that cannot be read */
  async open(handlers: DoorHandlers): Promise<Doors> {
    const { secret, listen, allow, servers, certificateFile, keyFile, caFile } = this.#config;
    const own = certificateFile !== undefined && keyFile !== undefined;
    this.#doors = await DrachtioDoors.open(this.#deps, handlers, {
      ...{ secret, allowed: allow, servers },
      ...(listen ? { listen } : {}),
      ...(own ? { tls: { cert: read('cert', certificateFile), key: read('key', keyFile) } } : {}),
      ...(caFile === undefined ? {} : { serverCa: read('ca', caFile) }),
    });
    return this.#doors;
  }

  /** For people. */
  get detail(): string {
    const { servers } = this.#config;
    const at = this.#doors?.at;
    const doors = [...(at ? [`servers come to ${formatEndpoint(at)}`] : []), ...servers.map((server) => `by ${formatEndpoint(server)}`)];
    return doors.join(', ');
  }

  get route(): DrachtioRoute {
    const allowed = addressList(this.#config.allow);
    const mayAsk = (address: string): boolean => address !== '' && isListed(allowed, address);
    const at = (): string | undefined => {
      const where = this.#doors?.at && (this.#config.announce ?? this.#doors.at);
      return where && formatEndpoint(where);
    };
    return { mayAsk, at };
  }
}

function read(key: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new GatewayError('ERR_CONFIG', `drachtio.${key}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
