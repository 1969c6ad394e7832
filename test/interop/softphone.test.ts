import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.ts';
import { WebPage, type WebPageOptions } from '../support/chromium-page.ts';
import { hears } from '../support/ear.ts';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { describePeer } from '../support/peers.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { Switchhook } from '../support/switchhook.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { findTone, rms, tone } from '../support/tones.ts';
import { register } from '../support/user-phone.ts';

const SOON = { timeout: 5_000, interval: 100 };
/** A telephone's screen. */
const POCKET = { width: 390, height: 720 };
const PASSWORD = 'wonderland-canary';
/** Louder than what a codec leaves of silence. */
const AUDIBLE = 150;

/** The softphone's page in a tab whose microphone hears one tone. */
class PhonePage {
  readonly web: WebPage;

  private constructor(web: WebPage) {
    this.web = web;
  }

  static async open(
    chromium: Chromium,
    gateway: GatewayProcess,
    toneHz: number | undefined,
    options: WebPageOptions = {},
  ): Promise<PhonePage> {
    const web = await WebPage.open(chromium, `http://${endpointText(gateway.http)}/phone`, options);
    await web.page.evaluate(`(() => {
      const context = new AudioContext();
      navigator.mediaDevices.getUserMedia = async () => {
        const to = context.createMediaStreamDestination();
        const tone = context.createOscillator();
        const gain = context.createGain();
        window.hum = (hz) => {
          gain.gain.value = hz === undefined ? 0 : 0.2;
          tone.frequency.value = hz ?? 400;
        };
        window.hum(${toneHz});
        tone.connect(gain).connect(to);
        tone.start();
        return to.stream;
      };
    })()`);
    return new PhonePage(web);
  }

  async register(user: string, password = PASSWORD): Promise<void> {
    const { page } = this.web;
    await page.fill('#user', user);
    await page.fill('#password', password);
    await this.web.press('Register');
  }

  async registered(user: string): Promise<void> {
    await this.register(user);
    await this.web.page.waitForSelector('body[data-account="registered"]', { timeout: SOON.timeout });
  }

  async dial(name: string): Promise<void> {
    await this.web.page.fill('#destination', name);
    await this.web.press('Call');
  }

  /** Opens the panel, if there is none, and says to whom. */
  async transferTo(name: string, button: 'Transfer now' | 'Ask first'): Promise<void> {
    await this.web.press('Transfer');
    await this.web.page.fill('#transfer-to', name);
    await this.web.press(button);
  }

  async hum(hz: number): Promise<void> {
    await this.web.page.evaluate(`hum(${hz})`);
  }

  async call(state: string): Promise<void> {
    await this.web.page.waitForSelector(`body[data-call="${state}"]`, { timeout: SOON.timeout });
  }

  async hears(toneHz: number): Promise<boolean> {
    const { samples, rateHz } = await this.web.heard(400);
    return findTone(samples, toneHz, { rateHz }).present;
  }

  /** Of what comes from now on, which may be nothing at all. */
  async nextLoudness(): Promise<number> {
    const { samples } = await this.web.listen(300);
    return samples.length === 0 ? 0 : rms(samples);
  }

  /** Do packets come by any of its calls, whatever is in them? */
  async receives(): Promise<boolean> {
    const packets = async (): Promise<number> =>
      (await this.web.page.evaluate(`(async () => {
        const open = tap.connections.filter(({ connectionState }) => connectionState === 'connected');
        const stats = await Promise.all(open.map((each) => each.getStats()));
        return stats.flatMap((each) => [...each.values()]).reduce((sum, { type, packetsReceived }) => sum + (type === 'inbound-rtp' ? packetsReceived : 0), 0);
      })()`)) as number;
    const before = await packets();
    await this.web.listen(300);
    return (await packets()) > before;
  }

  async loudness(): Promise<number> {
    const { samples } = await this.web.heard(400);
    return rms(samples);
  }

  status(): Promise<string | null> {
    return this.web.text('#status');
  }
}

describePeer('chromium', 'the softphone', () => {
  const folder = tempFolder('softphone');
  let gateway: GatewayProcess;
  let chromium: Chromium;
  let alice: PhonePage;
  let bob: PhonePage;
  let carol: PhonePage;

  beforeAll(async () => {
    const file = join(folder, 'ringdown.yaml');
    const user = (name: string): string => `  - { name: ${name}, password: ${PASSWORD}, calls: [agent, users] }\n`;
    writeFileSync(file, `users:\n${['alice', 'bob', 'carol'].map(user).join('')}`);
    [gateway, chromium] = await Promise.all([GatewayProcess.start({ flags: ['--config', file, '--sip-rate', '0'] }), Chromium.start()]);
    [alice, bob, carol] = await Promise.all([
      PhonePage.open(chromium, gateway, undefined),
      PhonePage.open(chromium, gateway, 900, { viewport: POCKET }),
      PhonePage.open(chromium, gateway, 1300, { viewport: POCKET, scheme: 'dark' }),
    ]);
  });
  afterAll(async () => {
    await chromium?.close();
    await gateway?.stop();
    removeFolder(folder);
  });

  const records = (): Record<string, unknown>[] =>
    readFileSync(join(gateway.dataDir, 'cdr.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test('is told that a password is wrong, and registers with the right one', async () => {
    await alice.register('alice', 'wrong');
    expect(await alice.web.problem()).toBe('Wrong user or password');
    await bob.web.shoot('softphone-signed-off-small');
    await Promise.all([alice.registered('alice'), bob.registered('bob'), carol.registered('carol')]);
    expect(await alice.web.text('#account-state')).toBe('Registered');
    expect(await alice.web.shortcomings()).toEqual([]);
    await alice.web.shoot('softphone-idle');
  });

  test('calls the agent: hears it, presses a key, holds and goes on, hangs up', async () => {
    await alice.web.press('Call the agent');
    await alice.call('live');
    await expect.poll(() => alice.loudness(), SOON).toBeGreaterThan(AUDIBLE);
    await alice.web.press('Keypad');
    await alice.web.shoot('softphone-keypad');
    await alice.web.press('Key 3');
    await expect.poll(() => alice.hears(1004), SOON).toBe(true);
    await alice.web.press('Hold');
    await expect.poll(() => alice.status(), SOON).toBe('On hold');
    await expect.poll(() => alice.nextLoudness(), SOON).toBeLessThan(AUDIBLE);
    await alice.web.press('Hold');
    await expect.poll(() => alice.status(), SOON).toBe('Connected');
    await expect.poll(() => alice.receives(), SOON).toBe(true);
    await alice.web.press('Hang up');
    await alice.call('none');
    await expect.poll(records, SOON).toContainEqual(expect.objectContaining({ sip_status: 200, user: 'alice' }));
    expect(alice.web.faults).toEqual([]);
  });

  test('alice calls bob, and both hear each other; bob hangs up and both are free', async () => {
    await alice.dial('bob');
    await bob.call('incoming');
    expect(await bob.web.text('#incoming-title')).toBe('alice calls');
    expect(await bob.web.shortcomings()).toEqual([]);
    await bob.web.shoot('softphone-incoming-small');
    await bob.web.press('Accept');
    await Promise.all([alice.call('live'), bob.call('live')]);
    await alice.hum(700);
    await expect.poll(() => alice.hears(900), SOON).toBe(true);
    await expect.poll(() => bob.hears(700), SOON).toBe(true);
    await bob.web.press('Hang up');
    await Promise.all([alice.call('none'), bob.call('none')]);
  });

  test('bob declines: he is free, and alice, who may talk to the agent, has it', async () => {
    await alice.dial('bob');
    await bob.call('incoming');
    await bob.web.press('Decline');
    await bob.call('none');
    await alice.call('live');
    await expect.poll(() => alice.loudness(), SOON).toBeGreaterThan(AUDIBLE);
    await alice.web.press('Hang up');
    await alice.call('none');
  });

  /** alice and bob talk. */
  const connected = async (): Promise<void> => {
    await alice.dial('bob');
    await bob.call('incoming');
    await bob.web.press('Accept');
    await Promise.all([alice.call('live'), bob.call('live')]);
    await alice.hum(700);
    await expect.poll(() => alice.hears(900), SOON).toBe(true);
  };

  test('alice sends bob to carol: when she answers the two talk, and alice is free', async () => {
    await connected();
    await alice.web.shoot('softphone-call');
    await alice.web.press('Transfer');
    expect(await alice.web.focused()).toBe('Transfer to');
    expect(await alice.web.shortcomings()).toEqual([]);
    await alice.web.page.fill('#transfer-to', 'carol');
    await alice.web.shoot('softphone-transfer');
    await alice.web.page.keyboard.press('Enter');
    await carol.call('incoming');
    await carol.web.shoot('softphone-incoming-small-dark');
    await expect.poll(() => alice.status(), SOON).toBe('Transferring: carol rings');
    await carol.web.press('Accept');
    await Promise.all([alice.call('none'), carol.call('live')]);
    await expect.poll(() => bob.hears(1300), SOON).toBe(true);
    await expect.poll(() => carol.hears(900), SOON).toBe(true);
    expect(await alice.web.page.isHidden('#problem')).toBe(true);
    await bob.web.press('Hang up');
    await Promise.all([bob.call('none'), carol.call('none')]);
  });

  test('carol does not want bob: alice has him back and is told why; nobody is sent to where alice may not call', async () => {
    await connected();
    await alice.transferTo('carol', 'Transfer now');
    await carol.call('incoming');
    await carol.web.press('Decline');
    expect(await alice.web.problem()).toBe('Not transferred');
    await alice.web.shoot('softphone-not-transferred');
    expect(await alice.web.text('#problem-text')).toBe('The call was declined. You still have the call.');
    await expect.poll(() => bob.hears(700), SOON).toBe(true);
    await expect.poll(() => alice.hears(900), SOON).toBe(true);
    await bob.web.press('Hang up');
    await Promise.all([alice.call('none'), bob.call('none')]);
  });

  test('alice asks carol first, talks to both in turn, and connects them', async () => {
    await connected();
    await alice.transferTo('carol', 'Ask first');
    await carol.call('incoming');
    await carol.web.press('Accept');
    await carol.call('live');
    await alice.hum(700);
    await expect.poll(() => alice.hears(1300), SOON).toBe(true);
    await expect.poll(() => carol.hears(700), SOON).toBe(true);
    expect(await alice.web.text('#waiting')).toBe('bob is on hold');
    expect(await alice.web.shortcomings()).toEqual([]);
    await alice.web.shoot('softphone-two-calls');
    await carol.web.press('Transfer');
    expect(await carol.web.shortcomings()).toEqual([]);
    await carol.web.shoot('softphone-transfer-small-dark');
    await carol.web.page.keyboard.press('Escape');
    expect([await carol.web.focused(), await carol.web.page.isVisible('#transfer')]).toEqual(['Transfer', false]);
    await alice.web.press('Back to bob');
    await expect.poll(() => bob.hears(700), SOON).toBe(true);
    await expect.poll(() => alice.receives(), SOON).toBe(true);
    await alice.web.press('Connect carol with bob');
    await alice.call('none');
    await expect.poll(() => bob.hears(1300), SOON).toBe(true);
    await expect.poll(() => carol.hears(900), SOON).toBe(true);
    await carol.web.press('Hang up');
    await Promise.all([bob.call('none'), carol.call('none')]);
    expect([...alice.web.faults, ...bob.web.faults, ...carol.web.faults]).toEqual([]);
  });

  test('carol has a telephone, too: both ring, and whichever is answered first stops the other', async () => {
    const hook = new Switchhook();
    const telephone = await hook.phone({ user: 'carol', address: '127.0.0.9' });
    await register(telephone, gateway.sip, 'carol', PASSWORD);
    const callCarol = async (): Promise<PhoneCall> => {
      const incoming = telephone.nextCall(5000);
      await alice.dial('carol');
      const [call] = await Promise.all([incoming, carol.call('incoming')]);
      call.ring();
      await alice.hum(700);
      return call;
    };

    const taken = await callCarol();
    taken.answer();
    taken.media.background(tone(440, 1000));
    await Promise.all([carol.call('none'), taken.acknowledged()]);
    await expect.poll(() => alice.hears(440), SOON).toBe(true);
    await hears(taken.media, 700, 'alice, by the telephone');
    await taken.bye();
    await alice.call('none');

    const left = await callCarol();
    await carol.web.press('Accept');
    await left.requests.find(({ method }) => method === 'CANCEL', 5000, 'the end of the ringing');
    await Promise.all([alice.call('live'), carol.call('live')]);
    await expect.poll(() => alice.hears(1300), SOON).toBe(true);
    await expect.poll(() => carol.hears(700), SOON).toBe(true);
    await carol.web.press('Hold');
    await expect.poll(() => carol.status(), SOON).toBe('On hold');
    const hearsMusic = async (): Promise<boolean> => (await alice.nextLoudness()) > AUDIBLE && !(await alice.hears(1300));
    await expect.poll(hearsMusic, SOON).toBe(true);
    await carol.web.press('Hold');
    await expect.poll(() => carol.status(), SOON).toBe('Connected');
    await expect.poll(() => alice.hears(1300), SOON).toBe(true);
    await carol.web.press('Hang up');
    await Promise.all([alice.call('none'), carol.call('none')]);
    await hook.close();
  });

  test('a program calls bob: the agent speaks to him', async () => {
    const body = JSON.stringify({ session: { type: 'realtime' }, transport: { type: 'sip', destination: 'user:bob' } });
    const headers = { 'content-type': 'application/json' };
    const created = await fetch(`http://${endpointText(gateway.http)}/v1/realtime/calls`, { method: 'POST', headers, body });
    expect(created.status).toBe(201);
    await bob.call('incoming');
    await bob.web.press('Accept');
    await bob.call('live');
    await expect.poll(() => bob.loudness(), SOON).toBeGreaterThan(AUDIBLE);
    await bob.web.press('Hang up');
    await bob.call('none');
  });
});
