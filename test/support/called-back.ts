import type { Endpoint } from './endpoint.ts';
import { nextSound } from './heard.ts';
import type { DialOptions, PhoneCall } from './phone-call.ts';
import type { SipPhone } from './sip-phone.ts';
import type { Switchhook } from './switchhook.ts';
import { elapse } from './wait.ts';

/** Long enough that somebody sees the phone ring. */
const RINGS_MS = 100;

/** Calls the agent, presses the key that has it call back, and answers that call, which is heard. @returns it */
export async function calledBack(hook: Switchhook, phone: SipPhone, to: Endpoint, options: DialOptions = {}): Promise<PhoneCall> {
  const call = await hook.call(to, options, phone);
  await nextSound(call.media, 5000);
  await call.media.press('9');
  const incoming = phone.nextCall(12_000);
  await call.hungUp(8000);
  const back = await incoming;
  back.ring();
  await elapse(RINGS_MS);
  back.answer();
  await back.acknowledged();
  await nextSound(back.media, 5000);
  return back;
}
