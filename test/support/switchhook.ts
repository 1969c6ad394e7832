import type { Endpoint } from './endpoint.ts';
import type { DialOptions, PhoneCall } from './phone-call.ts';
import { SipPhone, type SipPhoneOptions } from './sip-phone.ts';

/** The phones of a test file: opened as wanted, put down and closed together. */
export class Switchhook {
  readonly #phones: SipPhone[] = [];
  readonly #calls: PhoneCall[] = [];

  async phone(options: SipPhoneOptions = {}): Promise<SipPhone> {
    const phone = await SipPhone.open(options);
    this.#phones.push(phone);
    return phone;
  }

  /** A call that is answered, from a phone of its own unless one is given. */
  async call(to: Endpoint, options: DialOptions = {}, phone?: SipPhone): Promise<PhoneCall> {
    const call = await (phone ?? (await this.phone())).dial(to, options);
    this.#calls.push(call);
    await call.answered();
    return call;
  }

  /** Hangs up what a test has left, and closes all phones. */
  async close(): Promise<void> {
    // Most calls are over by now; the others must not look like a leak of the gateway's.
    const left = this.#calls.splice(0).filter((call) => !call.over);
    await Promise.allSettled(left.map((call) => call.bye(1000)));
    for (const phone of this.#phones.splice(0)) phone.close();
  }
}
