import { readFileSync } from 'node:fs';
import { eventually } from './wait.ts';

/** Which UDP ports of this machine somebody has bound, as the kernel tells it: finer than asking the program. */
export class UdpListeners {
  has(port: number): boolean {
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    return ['/proc/net/udp', '/proc/net/udp6'].some((file) =>
      new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} `, 'm').test(readFileSync(file, 'latin1')),
    );
  }

  /** Waits until the port is bound; when that was (performance.now() ms, to about 5 ms). */
  async bound(port: number, deadlineMs: number): Promise<number> {
    await eventually(() => this.has(port), deadlineMs, `somebody to bind UDP port ${port}`);
    return performance.now();
  }
}
