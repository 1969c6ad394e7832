import { expect, test } from 'vitest';
import { decodeG711, encodeG711 } from '../../support/g711.ts';
import { SipPhone } from '../../support/sip-phone.ts';
import { speech } from '../../support/speech.ts';
import { describeWithTestData, importTool } from '../../support/test-data.ts';
import { findTone, tone } from '../../support/tones.ts';
import { elapse } from '../../support/wait.ts';

interface Agent {
  readonly port: number;
  call(options: { to: string; body: string }): {
    invite(): void;
    final(): Promise<{ code: number } | null>;
    ack(): void;
    media(message: unknown): { ip: string; port: number };
    bye(): Promise<{ code: number } | null>;
  };
  close(): void;
}

interface AgentTool {
  createUA(): Promise<Agent>;
  createRtp(): Promise<{
    readonly port: number;
    stream(options: { to: string; freq: number; seconds: number }): { stop(): void };
    toneShare(freq: number): { share: number };
    close(): void;
  }>;
  sdp(ip: string, port: number): string;
  ulaw(sample: number): number;
  unulaw(byte: number): number;
  unalaw(byte: number): number;
}

interface QualityTool {
  score(sent: Int16Array, heard: Int16Array): { stoiNB: number; lostActivePct: number; delayMs: { median: number } };
}

describeWithTestData('the instruments against those of others', () => {
  test('the phone takes a call of another agent: tones both ways', async () => {
    const { createUA, createRtp, sdp } = await importTool<AgentTool>('sipua.mjs');
    const phone = await SipPhone.open();
    const agent = await createUA();
    const rtp = await createRtp();
    const coming = phone.nextCall();
    const call = agent.call({ to: `127.0.0.1:${phone.local.port}`, body: sdp('127.0.0.1', rtp.port) });
    call.invite();
    const ours = await coming;
    ours.media.background(tone(1004, 1000));
    ours.answer();
    const final = await call.final();
    expect(final?.code).toBe(200);
    call.ack();
    await ours.acknowledged();
    const { ip, port } = call.media(final);
    const voice = rtp.stream({ to: `${ip}:${port}`, freq: 440, seconds: 2 });
    await ours.media.arrivals.reach(28, 3000, 'packets of the other agent');
    expect(findTone(ours.media.recording().samples, 440).present).toBe(true);
    voice.stop();
    expect(rtp.toneShare(1004).share).toBeGreaterThan(0.9);
    expect((await call.bye())?.code).toBe(200);
    // Its timer looks once more before it ends.
    await elapse(40);
    rtp.close();
    agent.close();
    phone.close();
  });

  test('all codes of both laws mean the same sound', async () => {
    const { ulaw, unulaw, unalaw } = await importTool<AgentTool>('sipua.mjs');
    const codes = Uint8Array.from({ length: 256 }, (_, n) => n);
    expect([...decodeG711('PCMU', codes)]).toEqual([...codes].map((code) => unulaw(code) + 0));
    expect([...decodeG711('PCMA', codes)]).toEqual([...codes].map(unalaw));
    const samples = Int16Array.from({ length: 2000 }, (_, n) => n * 32 - 32_000);
    const different = [...encodeG711('PCMU', samples)].filter((code, n) => Math.abs(unulaw(code) - unulaw(ulaw(samples[n]!))) > 0);
    // Both are right where a sample lies in the middle between two values.
    expect(different.length).toBeLessThan(40);
  });

  test('speech through G.711 keeps its quality by the measure of others', async () => {
    const { score } = await importTool<QualityTool>('quality.mjs');
    const said = speech(6000);
    const figures = score(said, decodeG711('PCMU', encodeG711('PCMU', said)));
    expect(figures.stoiNB).toBeGreaterThan(0.99);
    expect(figures.delayMs.median).toBe(0);
    expect(figures.lostActivePct).toBe(0);
  });
});
