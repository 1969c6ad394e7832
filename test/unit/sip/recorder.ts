import { Driver, type Machine } from '../../../src/base/driver.ts';
import type { SipResponse } from '../../../src/sip/embedded/message.ts';
import { parseMessage } from '../../../src/sip/embedded/message.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Described<Output extends { type: string }> = [number, Output['type'] | string];

/** Drives a machine with a fake clock and writes down what it does and when: text messages by their text. */
export function record<Output extends { type: string }, M extends Machine<Output>>(machine: M) {
  const clock = new FakeClock();
  const log: Described<Output>[] = [];
  const driver = new Driver<Output>(clock, machine, (output) => {
    const { message, response } = output as { message?: Uint8Array; response?: SipResponse };
    if (message) log.push([clock.now(), `send ${Buffer.from(message).toString()}`]);
    else if (response) log.push([clock.now(), `response ${response.status}`]);
    else log.push([clock.now(), output.type]);
  });
  return { clock, log, machine, run: (change: (now: number) => void) => driver.run(change) };
}

export function responseOf(status: number): SipResponse {
  const message = parseMessage(Buffer.from(`SIP/2.0 ${status} X\r\nContent-Length: 0\r\n\r\n`));
  if (message?.type !== 'response') throw new Error('not a response');
  return message;
}
