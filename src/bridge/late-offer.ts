import type { PhoneAnswer } from '../sdp/phone-answer.ts';
import type { EarlierDescription, LocalMedia, NegotiatedAudio } from '../sdp/phone-audio.ts';
import { sampleRateOf } from '../sdp/phone-format.ts';
import { offerBrowser, offerPhone, type PhoneOffer, readPhoneAnswer } from '../sdp/phone-offer.ts';
import type { Fingerprint } from '../sdp/transport.ts';

/** An offer of ours to a phone that left it to us, until its answer comes with the ACK (RFC 3261 §13.2.1). */
export class LateOffer {
  readonly #offer: PhoneOffer;

  /** @param previous our last description in this dialog, for a re-INVITE without an offer */
  static toPhone(local: LocalMedia, previous?: EarlierDescription): LateOffer {
    return new LateOffer(offerPhone(local, previous ? { previous } : {}));
  }

  /** The same ports, for a browser. @param fingerprint of whoever carries the media */
  static toBrowser(local: LocalMedia, fingerprint: Fingerprint): LateOffer {
    return new LateOffer(offerBrowser(local, fingerprint));
  }

  private constructor(offer: PhoneOffer) {
    this.#offer = offer;
  }

  get text(): string {
    return this.#offer.offer;
  }

  /** What counts until the answer is in: nobody to send to. */
  pending(): PhoneAnswer {
    const { offer, description, local, formats } = this.#offer;
    const [first = { codec: 'PCMU', payloadType: 0 } as const] = formats;
    const nowhere = { address: local.address.includes(':') ? '::' : '0.0.0.0', port: 9 };
    const media: NegotiatedAudio = {
      ...first,
      sampleRateHz: sampleRateOf(first.codec),
      alternatives: [],
      remote: nowhere,
      remoteRtcp: nowhere,
      direction: 'inactive',
      ptimeMs: 20,
    };
    return { answer: offer, description, media };
  }

  /** What the phone's answer agrees to; undefined when it cannot be used. */
  agree(answer: string): PhoneAnswer | undefined {
    const { offer, description } = this.#offer;
    const read = readPhoneAnswer(answer, this.#offer);
    return 'fault' in read ? undefined : { answer: offer, description, media: read.media };
  }
}
