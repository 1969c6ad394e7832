import type { PhoneMediaPolicy } from './bridge/agree-media.ts';
import { DialledCall } from './bridge/dialled-call.ts';
import type { Config } from './config/config.ts';
import type { PhoneMediaConfig } from './config/phone-media.ts';
import type { InboundCall } from './sip/engine.ts';

type Sections = Pick<Config, 'phoneMedia' | 'trunks' | 'users'>;

/** How the media of a call may be carried: what its trunk or user says, and the gateway where they say nothing. */
export function phoneMediaPolicy(config: Sections, call: InboundCall): PhoneMediaPolicy {
  const all = config.phoneMedia;
  const own = sectionOf(config, call);
  const codecs = own?.codecs ?? all.codecs;
  return {
    srtp: own?.srtp ?? all.srtp ?? 'optional',
    sdesOverPlain: own?.sdesOverPlain ?? all.sdesOverPlain ?? 'refuse',
    ...(codecs && { codecs }),
  };
}

function sectionOf({ trunks, users }: Sections, call: InboundCall): PhoneMediaConfig | undefined {
  const user =
    call instanceof DialledCall ? /^user:(.+)$/.exec(call.destination)?.[1] : call.caller?.type === 'user' ? call.caller.name : undefined;
  if (user !== undefined) return users.find(({ name }) => name === user)?.media;
  const trunk = call instanceof DialledCall ? call.trunk : call.caller?.type === 'trunk' ? call.caller.name : undefined;
  return trunks.find(({ name }) => name === trunk)?.media;
}
