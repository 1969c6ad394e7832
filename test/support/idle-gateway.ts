import type { GatewayProcess } from './gateway-process.ts';
import type { MetricsText } from './metrics-text.ts';
import { DeadlineError, eventually } from './wait.ts';

/** What is in use only while there are calls. */
const GAUGES = ['calls', 'sessions', 'sip_dialogs', 'opus_codecs', 'rtp_port_pairs'] as const;

/** The gauges of a gateway that counts its calls, by name. */
export function usage(metrics: MetricsText): Readonly<Record<string, number>> {
  return Object.fromEntries(GAUGES.map((name) => [name, metrics.sum(`ringdown_${name}`)]));
}

/**
 * What a gateway process has in use without calls, to find what its calls leave behind. Take it after a first call: the first
 * one opens what stays open.
 */
export class IdleGateway {
  readonly #gateway: GatewayProcess;
  readonly #fileDescriptors: number;

  constructor(gateway: GatewayProcess, fileDescriptors: number) {
    this.#gateway = gateway;
    this.#fileDescriptors = fileDescriptors;
  }

  /** @throws DeadlineError when calls live */
  static async take(gateway: GatewayProcess): Promise<IdleGateway> {
    await new IdleGateway(gateway, Number.POSITIVE_INFINITY).restored();
    // One connection to /metrics may be open or not at each look.
    return new IdleGateway(gateway, gateway.figures().fileDescriptors + 1);
  }

  /** Waits until nothing of any call is left. @throws DeadlineError naming what stayed */
  async restored(deadlineMs = 5000): Promise<void> {
    let left: string[] = [];
    const look = async (): Promise<boolean> => {
      const used = usage(await this.#gateway.metrics());
      const { fileDescriptors } = this.#gateway.figures();
      left = Object.entries(used).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []));
      if (fileDescriptors > this.#fileDescriptors) left.push(`${fileDescriptors} file descriptors instead of ${this.#fileDescriptors}`);
      return left.length === 0;
    };
    await eventually(look, deadlineMs, 'the gateway to be idle').catch(() => {
      throw new DeadlineError(`still in use after ${deadlineMs} ms: ${left.join(', ')}`);
    });
  }
}
