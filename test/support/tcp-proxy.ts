import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../../src/base/addresses.ts';

/** A TCP path that can be cut, held still, and laid again. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #target: Endpoint;
  #refusing = false;
  /** Connections taken so far. */
  taken = 0;

  private constructor(target: Endpoint) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  static async to(target: Endpoint): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get local(): Endpoint {
    return { address: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Later connections lead there. */
  lead(target: Endpoint): void {
    this.#target = target;
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** Cuts, and takes no new connection until `mend`. */
  break(): void {
    this.#refusing = true;
    this.cut();
  }

  mend(): void {
    this.#refusing = false;
  }

  /** Nothing passes towards the target any more, and nobody is told. */
  hold(): void {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      near.pause();
    }
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #join(near: Socket): void {
    near.on('error', () => near.destroy());
    if (this.#refusing) {
      near.destroy();
      return;
    }
    this.taken += 1;
    const far = connect(this.#target.port, this.#target.address);
    for (const each of [near, far]) each.setNoDelay();
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    far.on('error', () => far.destroy());
    near.pipe(far).pipe(near);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    near.on('close', end);
    far.on('close', end);
  }
}
