import { createOpusDecoder, createOpusEncoder, type OpusDecoder, type OpusEncoder, type OpusRateHz } from '../audio/opus.ts';
import type { RtpPacket } from '../rtp/packet.ts';
import type { RtpSender } from '../rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../sdp/phone-audio.ts';
import { clockRateOf } from '../sdp/phone-format.ts';
import { fitsPhone, type InnerVoice } from './inner-voice.ts';
import { OpusDownlink, type Recoder } from './opus-downlink.ts';
import { OpusUplink } from './opus-uplink.ts';
import { PhoneDownlink, type PhoneDownlinkSnapshot } from './phone-downlink.ts';
import { PhoneUplink, type PhoneUplinkHandlers, type PhoneUplinkSnapshot } from './phone-uplink.ts';

/** Both directions of a phone's sound, as long as one kind of codec is spoken. */
export interface PhoneLine {
  readonly uplink: {
    handlePacket(packet: RtpPacket, now: number): void;
    nextTimeout(): number | undefined;
    drain(now: number): void;
    snapshot(): PhoneUplinkSnapshot;
  };
  readonly downlink: {
    readonly sender: RtpSender;
    muted: boolean;
    handlePacket(datagram: Buffer, now: number): void;
    nextTimeout(): number | undefined;
    drain(now: number): void;
    /** What the phone loses of ours. Absent where nothing can be done about it. */
    setPacketLossPercent?(percent: number): void;
    snapshot(): PhoneDownlinkSnapshot;
  };
  /** What another pair of descriptions says, of the same kind of codec. Resolves when it counts. */
  renegotiate(audio: NegotiatedAudio): void | Promise<void>;
  close(): void;
}

export interface PhoneLineDeps {
  /** Of the inner leg. */
  readonly sender: RtpSender;
  readonly voice: InnerVoice;
  readonly uplink: PhoneUplinkHandlers;
  readonly onDownlinkPacket: (packet: Buffer, audible: boolean) => void;
}

/** Codecs of one kind follow each other in mid-call without a new stream; others have another clock, or need no coders at all. */
export function lineKindOf({ codec, opus, telephoneEventPayloadType, telephoneEventRateHz = 8000 }: NegotiatedAudio): string {
  const keys = telephoneEventPayloadType === undefined ? 'sound' : telephoneEventRateHz;
  return codec === 'opus' ? `opus ${keys} ${JSON.stringify(opus)}` : `${clockRateOf(codec)} ${telephoneEventRateHz}`;
}

/** @throws GatewayError; nothing is left open then */
export function createPhoneLine(deps: PhoneLineDeps, audio: NegotiatedAudio): Promise<PhoneLine> {
  return audio.codec === 'opus' ? createOpusLine(deps, audio) : createCodedLine(deps, audio);
}

async function createCodedLine({ sender, uplink: handlers, onDownlinkPacket }: PhoneLineDeps, audio: NegotiatedAudio): Promise<PhoneLine> {
  const { encoder, decoder } = await createCoders(audio);
  const uplink = new PhoneUplink(encoder, sender, audio, handlers);
  const downlink = new PhoneDownlink(decoder, audio, onDownlinkPacket);
  let rateHz = audio.sampleRateHz;
  let latest = audio;
  let closed = false;
  return {
    uplink,
    downlink,
    renegotiate: (next) => {
      latest = next;
      if (next.sampleRateHz === rateHz) {
        uplink.renegotiate(next);
        downlink.renegotiate(next);
        return;
      }
      return createCoders(next).then((coders) => {
        // The call is over, or the next description came first.
        if (closed || latest !== next) {
          coders.encoder.free();
          coders.decoder.free();
          return;
        }
        rateHz = next.sampleRateHz;
        uplink.renegotiate(next, coders.encoder);
        downlink.renegotiate(next, coders.decoder);
      });
    },
    close: () => {
      closed = true;
      uplink.close();
      downlink.close();
    },
  };
}

interface Coders {
  readonly encoder: OpusEncoder;
  readonly decoder: OpusDecoder;
}

/** The inner leg's coders at the rate of the phone's codec. */
async function createCoders({ sampleRateHz }: NegotiatedAudio): Promise<Coders> {
  const encoder = await createOpusEncoder({ sampleRateHz, profile: 'interior', narrowband: sampleRateHz === 8000 });
  const decoder = await createOpusDecoder({ sampleRateHz }).catch((thrown: unknown) => {
    encoder.free();
    throw thrown;
  });
  return { encoder, decoder };
}

/** Keys lie below 1.7 kHz. */
const EAR_RATE_HZ = 8000;
/** What is coded anew for a phone comes from sessions, which speak 24 kHz. */
const RECODED_RATE_HZ = 24_000;

async function createOpusLine(deps: PhoneLineDeps, audio: NegotiatedAudio): Promise<PhoneLine> {
  const ear = audio.telephoneEventPayloadType === undefined ? await createOpusDecoder({ sampleRateHz: EAR_RATE_HZ }) : undefined;
  const recoder = fitsPhone(deps.voice, audio)
    ? undefined
    : await createRecoder(audio).catch((thrown: unknown) => {
        ear?.free();
        throw thrown;
      });
  const uplink = new OpusUplink(deps.sender, audio, deps.uplink, ear);
  const downlink = new OpusDownlink(audio, deps.onDownlinkPacket, recoder);
  return {
    uplink,
    downlink,
    renegotiate: (next) => {
      uplink.renegotiate(next);
      downlink.renegotiate(next);
    },
    close: () => {
      uplink.close();
      downlink.close();
    },
  };
}

async function createRecoder({ opus }: NegotiatedAudio): Promise<Recoder> {
  const most = opus?.maxPlaybackRateHz ?? RECODED_RATE_HZ;
  const sampleRateHz: OpusRateHz = most < 16_000 ? 8000 : most < RECODED_RATE_HZ ? 16_000 : RECODED_RATE_HZ;
  const limits = { ...(opus?.maxAverageBitrate !== undefined && { maxBitrate: opus.maxAverageBitrate }), ...(opus?.cbr && { cbr: true }) };
  const encoder = await createOpusEncoder({ sampleRateHz, profile: opus?.fec ? 'edge' : 'interior', ...limits });
  const decoder = await createOpusDecoder({ sampleRateHz }).catch((thrown: unknown) => {
    encoder.free();
    throw thrown;
  });
  return { encoder, decoder };
}
