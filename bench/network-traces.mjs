/*
 * When packets of a call arrive, over three kinds of network. Made up, from a seed: jitter of a queue that now and then fills, lone packets that come
 * late, losses alone and in bursts. Their sizes are such that a fixed buffer of 60 ms conceals what it does in published traces of such
 * networks: nothing, some 0.6 %, some 4 %.
 */

const FRAME_MS = 20;

const NETWORKS = {
  LAN: { jitterMs: 1, memory: 0.5, spikeShare: 0, spikeMs: [0, 0], strayShare: 0, strayMs: 0, lossShare: 0, lossesInRow: 1 },
  internet: {
    jitterMs: 4,
    memory: 0.8,
    spikeShare: 0.002,
    spikeMs: [50, 130],
    strayShare: 0.0005,
    strayMs: 40,
    lossShare: 0.003,
    lossesInRow: 1,
  },
  mobile: {
    jitterMs: 17,
    memory: 0.9,
    spikeShare: 0.0025,
    spikeMs: [60, 220],
    strayShare: 0.002,
    strayMs: 40,
    lossShare: 0.011,
    lossesInRow: 2,
  },
};

export const NETWORK_NAMES = Object.keys(NETWORKS);

/**
 * One packet each 20 ms.
 * @returns for each packet when it arrives, in ms after the first was sent over a path without any delay; undefined for a lost one
 */
export function networkTrace(name, { packets, seed }) {
  const { jitterMs, memory, spikeShare, spikeMs, strayShare, strayMs, lossShare, lossesInRow } = NETWORKS[name];
  const random = randomFrom(seed);
  /** A queue whose length wanders: exponential in the long run, each packet like the one before. */
  const noise = [0, 0];
  const wander = () => {
    const step = Math.sqrt(1 - memory ** 2);
    for (let n = 0; n < 2; n++) noise[n] = memory * noise[n] + step * normal(random);
    return ((noise[0] ** 2 + noise[1] ** 2) / 2) * jitterMs;
  };
  let spike = 0;
  let losing = false;
  let queueEmptyAt = 0;
  return Array.from({ length: packets }, (_, n) => {
    const sentAt = n * FRAME_MS;
    // A full queue empties at its own pace, so that all in it arrive together.
    spike = Math.max(0, spike - FRAME_MS);
    if (random() < spikeShare) spike = spikeMs[0] + random() * (spikeMs[1] - spikeMs[0]);
    const inQueue = Math.max(queueEmptyAt, sentAt + Math.max(spike, wander()));
    queueEmptyAt = inQueue;
    losing = losing ? random() < 1 - 1 / lossesInRow : random() < lossShare / lossesInRow;
    if (losing) return undefined;
    // Another way than the rest.
    return random() < strayShare ? inQueue + strayMs : inQueue;
  });
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** xorshift32: the same numbers from the same seed, everywhere. */
function randomFrom(seed) {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}
