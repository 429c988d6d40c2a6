// What an exit takes besides a key: reads the kit, reads the chain, and says what to send next. Used by the program
// `farthing` and by the page beside this file. A classic script without imports, so that it works from disk, and
// independent of the package's wasm: whoever leaves because something is broken should need as little as possible.
//
// Invariant: what to do next follows from the kit and the chain alone, so it can be stopped and started at any point.

(() => {
  "use strict";

  // --- keccak-256, on pairs of 32-bit words -------------------------------------------------------------------------

  const ROUNDS = [];
  for (let round = 0, register = 1; round < 24; round += 1) {
    let [low, high] = [0, 0];
    for (let bit = 0; bit < 7; bit += 1) {
      const place = (1 << bit) - 1;
      if (register & 1) place < 32 ? (low ^= 1 << place) : (high ^= 1 << (place - 32));
      register = register & 0x80 ? (register << 1) ^ 0x171 : register << 1;
    }
    ROUNDS.push([low, high]);
  }
  const PATH = [];
  for (let step = 0, x = 1, y = 0; step < 24; step += 1) {
    [x, y] = [y, (2 * x + 3 * y) % 5];
    PATH.push([x + 5 * y, (((step + 1) * (step + 2)) / 2) % 64]);
  }

  function permute(low, high) {
    for (const [roundLow, roundHigh] of ROUNDS) {
      const [columnLow, columnHigh] = [new Int32Array(5), new Int32Array(5)];
      for (let place = 0; place < 25; place += 1) {
        columnLow[place % 5] ^= low[place];
        columnHigh[place % 5] ^= high[place];
      }
      for (let x = 0; x < 5; x += 1) {
        const [nextLow, nextHigh] = [columnLow[(x + 1) % 5], columnHigh[(x + 1) % 5]];
        const mixLow = columnLow[(x + 4) % 5] ^ ((nextLow << 1) | (nextHigh >>> 31));
        const mixHigh = columnHigh[(x + 4) % 5] ^ ((nextHigh << 1) | (nextLow >>> 31));
        for (let place = x; place < 25; place += 5) {
          low[place] ^= mixLow;
          high[place] ^= mixHigh;
        }
      }
      let [movedLow, movedHigh] = [low[1], high[1]];
      for (const [place, distance] of PATH) {
        let [a, b] = distance < 32 ? [movedLow, movedHigh] : [movedHigh, movedLow];
        const by = distance % 32;
        if (by) [a, b] = [(a << by) | (b >>> (32 - by)), (b << by) | (a >>> (32 - by))];
        [movedLow, movedHigh] = [low[place], high[place]];
        low[place] = a;
        high[place] = b;
      }
      for (let row = 0; row < 25; row += 5) {
        const [rowLow, rowHigh] = [low.slice(row, row + 5), high.slice(row, row + 5)];
        for (let x = 0; x < 5; x += 1) {
          low[row + x] ^= ~rowLow[(x + 1) % 5] & rowLow[(x + 2) % 5];
          high[row + x] ^= ~rowHigh[(x + 1) % 5] & rowHigh[(x + 2) % 5];
        }
      }
      low[0] ^= roundLow;
      high[0] ^= roundHigh;
    }
  }

  /** The hash of bytes (or of hex digits), as hex. */
  function keccak256(data) {
    const bytes = typeof data === "string" ? bytesOf(data) : data;
    const padded = new Uint8Array((Math.floor(bytes.length / 136) + 1) * 136);
    padded.set(bytes);
    padded[bytes.length] ^= 0x01;
    padded[padded.length - 1] ^= 0x80;
    const view = new DataView(padded.buffer);
    const [low, high] = [new Int32Array(25), new Int32Array(25)];
    for (let block = 0; block < padded.length; block += 136) {
      for (let place = 0; place < 17; place += 1) {
        low[place] ^= view.getInt32(block + 8 * place, true);
        high[place] ^= view.getInt32(block + 8 * place + 4, true);
      }
      permute(low, high);
    }
    const out = new DataView(new ArrayBuffer(32));
    for (let place = 0; place < 4; place += 1) {
      out.setInt32(8 * place, low[place], true);
      out.setInt32(8 * place + 4, high[place], true);
    }
    return hexOf(new Uint8Array(out.buffer));
  }

  // --- bytes, words and calls ---------------------------------------------------------------------------------------

  const hexOf = (bytes) => `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  const bytesOf = (hex) => Uint8Array.from((hex.slice(2).match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
  const textBytes = (text) => new TextEncoder().encode(text);
  /** 32 bytes as hex digits: of a number, or of an address or word in hex. */
  const word = (value) => (typeof value === "string" ? value.slice(2) : BigInt(value).toString(16)).padStart(64, "0");
  const words = (...values) => values.map(word).join("");
  const hashWords = (...values) => keccak256(`0x${words(...values)}`);
  /** The ABI's dynamic bytes: the length, then the bytes, filled up to whole words. */
  const dynamic = (hex) => word((hex.length - 2) / 2) + hex.slice(2).padEnd(Math.ceil((hex.length - 2) / 64) * 64, "0");
  const selector = (signature) => keccak256(textBytes(signature)).slice(0, 10);

  const CHANNEL = "((address,address),(address,address),uint32,uint64)";
  const PROOF = "(address,uint8,uint64,uint128,uint128,bytes32,uint64,bytes,bytes)";
  const ITEM = "(address,bytes,uint64,bytes)";
  const CLAIM = "(uint16,(bytes32,uint32,uint128,uint32),address,bytes32,uint64,bytes32[16])";
  const SELECTORS = {
    startExit: selector(`startExit(${CHANNEL},${PROOF}[],uint8,bytes,uint64)`),
    submitProofs: selector(`submitProofs(${CHANNEL},${PROOF}[])`),
    recordEvidence: selector("recordEvidence(address,bytes,uint64,bytes)"),
    recordEvidenceBatch: selector(`recordEvidenceBatch(${ITEM}[])`),
    settle: selector(`settle(${CHANNEL},address)`),
    settleBatch: selector(`settleBatch(${CHANNEL},address[])`),
    claimLock: selector(`claimLock(${CHANNEL},address,uint8,${CLAIM})`),
    claimLockBatch: selector(`claimLockBatch(${CHANNEL},address,uint8,${CLAIM}[])`),
    exitEndsAt: selector("exitEndsAt(bytes32)"),
    assetState: selector("assetState(bytes32,address)"),
    laneState: selector("laneState(bytes32,address,uint8)"),
    unitsOf: selector("unitsOf(bytes32)"),
    claimed: selector("claimed(bytes32,address,uint8,uint16)"),
    netOf: selector("netOf(bytes32,address)"),
  };

  const channelWords = ({ a, b, challengePeriod, salt }) =>
    words(a.owner, a.signer, b.owner, b.signer, challengePeriod, BigInt(salt));

  /** An array as the ABI lays out one of dynamic tuples: the length, where each one begins, and the tuples. */
  function dynamicArray(tuples) {
    let offset = 32 * tuples.length;
    const offsets = tuples.map((tuple) => {
      const here = word(offset);
      offset += tuple.length / 2;
      return here;
    });
    return word(tuples.length) + offsets.join("") + tuples.join("");
  }

  const proofWords = ({ asset, payer, nonce, transferred, locked, locksRoot, seen, signature, acknowledgement }) => {
    const first = dynamic(signature);
    const head = words(asset, payer, nonce, BigInt(transferred), BigInt(locked), locksRoot, seen, 288, 288 + first.length / 2);
    return head + first + dynamic(acknowledgement);
  };
  const evidenceWords = ({ condition, params, expiry, evidence }) => {
    const first = dynamic(params);
    return words(condition, 128, expiry, 128 + first.length / 2) + first + dynamic(evidence);
  };
  const claimWords = ({ lock, siblings }) => {
    const { slot, key, n, unitPrice, redeemed, condition, params, expiry } = lock;
    return words(slot, key, n, BigInt(unitPrice), redeemed, condition, keccak256(params), expiry, ...siblings);
  };

  // Of several items the contract skips those that it does not need; of one it says why it refuses it.
  const calls = {
    startExit(kit, proofs) {
      const listed = dynamicArray(proofs.map(proofWords));
      return SELECTORS.startExit + channelWords(kit.channel) + words(320, 0, 320 + listed.length / 2, 0) + listed + word(0);
    },
    submitProofs: (kit, proofs) => SELECTORS.submitProofs + channelWords(kit.channel) + word(224) + dynamicArray(proofs.map(proofWords)),
    recordEvidence: (_, [item]) => SELECTORS.recordEvidence + evidenceWords(item),
    recordEvidenceBatch: (_, items) => SELECTORS.recordEvidenceBatch + word(32) + dynamicArray(items.map(evidenceWords)),
    settle: (kit, [asset]) => SELECTORS.settle + channelWords(kit.channel) + word(asset),
    settleBatch: (kit, assets) => SELECTORS.settleBatch + channelWords(kit.channel) + words(224, assets.length, ...assets),
    claimLock: (kit, [claim]) => SELECTORS.claimLock + channelWords(kit.channel) + words(claim.asset, claim.payer) + claimWords(claim),
    claimLockBatch(kit, claims) {
      const [{ asset, payer }] = claims;
      const listed = claims.map(claimWords).join("");
      return SELECTORS.claimLockBatch + channelWords(kit.channel) + words(asset, payer, 288, claims.length) + listed;
    },
  };

  /** The call for one item, or for several. */
  const callFor = (single, items) => (items.length === 1 ? single : `${single}Batch`);

  // How many items one call takes, so that it fits a quarter of what a transaction may use (2^24 gas).
  const CALL_GAS = 2 ** 22;
  const MOST = { proofs: 41, assets: 8, claims: 61 };
  const HASH_CHAIN = "0x000000000000000000000000000000000000fa02";
  const gasOf = ({ condition, units }) => 40_000 + (same(condition, HASH_CHAIN) ? 53 * units : 0);

  const chunks = (items, most) => Array.from({ length: Math.ceil(items.length / most) }, (_, index) => items.slice(index * most, (index + 1) * most));

  /** Evidence in calls of which each takes at most `CALL_GAS`, in the order given. */
  function evidenceCalls(items) {
    const found = [];
    let room = 0;
    for (const item of items) {
      const gas = gasOf(item);
      if (found.length === 0 || gas > room) {
        found.push([]);
        room = CALL_GAS;
      }
      found.at(-1).push(item);
      room -= gas;
    }
    return found;
  }

  // --- the tree of locks --------------------------------------------------------------------------------------------

  const EMPTY = [word(0)];
  for (let height = 0; height < 16; height += 1) EMPTY.push(keccak256(`0x${EMPTY[height]}${EMPTY[height]}`).slice(2));

  /** All nodes of a tree that differ from the empty one's: one map from index to node for each height. */
  function treeOf(locks) {
    const leaf = ({ key, n, unitPrice, redeemed }) => hashWords(key, n, BigInt(unitPrice), redeemed).slice(2);
    const levels = [new Map([...locks].map(([slot, lock]) => [slot, leaf(lock)]))];
    for (let height = 0; height < 16; height += 1) {
      const below = levels[height];
      const node = (index) => below.get(index) ?? EMPTY[height];
      const above = new Set([...below.keys()].map((index) => index >> 1));
      levels.push(new Map([...above].map((index) => [index, keccak256(`0x${node(2 * index)}${node(2 * index + 1)}`).slice(2)])));
    }
    return levels;
  }

  const rootOf = (levels) => `0x${levels[16].get(0) ?? EMPTY[16]}`;
  const siblingsOf = (levels, slot) => EMPTY.slice(0, 16).map((empty, height) => `0x${levels[height].get((slot >> height) ^ 1) ?? empty}`);

  // --- the kit ------------------------------------------------------------------------------------------------------

  class ExitError extends Error {
    constructor(code, message, cause) {
      super(message, cause === undefined ? undefined : { cause });
      this.name = "ExitError";
      this.code = code;
    }
  }
  const bad = (what) => new ExitError("bad-kit", `This is no sound exit kit: ${what}.`);

  const hexWith = (bytes) => (value) => typeof value === "string" && new RegExp(`^0x([0-9a-fA-F]{2}){${bytes}}$`).test(value);
  const address = hexWith("20");
  const hash = hexWith("32");
  const anyBytes = hexWith("0,4096");
  const signature = hexWith("65");
  const below = (limit) => (value) => Number.isSafeInteger(value) && value >= 0 && value < limit;
  const count = below(2 ** 53);
  const side = below(2);
  const amount = (value) => typeof value === "string" && /^(0|[1-9][0-9]{0,38})$/.test(value) && BigInt(value) < 1n << 128n;
  const list = (shape) => (value, path) => {
    if (!Array.isArray(value)) return false;
    value.forEach((item, index) => check(item, shape, `${path}[${index}]`));
    return true;
  };

  /** Refuses what does not have the shape; says where. */
  function check(value, shape, path) {
    if (typeof shape === "function") {
      if (!shape(value, path)) throw bad(`${path} is missing or malformed`);
      return;
    }
    if (value === null || typeof value !== "object" || Array.isArray(value)) throw bad(`${path} is missing or malformed`);
    for (const [name, inner] of Object.entries(shape)) check(value[name], inner, `${path}.${name}`);
  }

  const EVIDENCE = { condition: address, params: anyBytes, expiry: count, evidence: anyBytes, units: below(2 ** 32) };
  const PARTICIPANT = { owner: address, signer: address };
  const LOCK = { slot: below(2 ** 16), n: below(2 ** 32), unitPrice: amount, redeemed: below(2 ** 32), condition: address, params: anyBytes, expiry: count };
  const TREE = { root: hash, remove: list(below(2 ** 16)), put: list(LOCK) };
  const LANE = { payer: side, newest: count, trees: list(TREE) };
  const SIGNED = {
    payer: side, nonce: count, transferred: amount, locked: amount, locksRoot: hash, seen: count, signature,
    acknowledgement: (value) => value === "0x" || signature(value),
  };
  const KIT = {
    chainId: count, contract: address, channelId: hash,
    channel: { a: PARTICIPANT, b: PARTICIPANT, challengePeriod: below(2 ** 32), salt: (value) => typeof value === "string" && /^[0-9]{1,20}$/.test(value) },
    us: side, owner: address,
    transactions: list({
      call: (value) => Object.hasOwn(calls, value),
      items: (value, path) => value === undefined || list(EVIDENCE)(value, path),
      assets: (value, path) => value === undefined || list(address)(value, path),
      data: (value) => hexWith("4,")(value),
    }),
    assets: list({ asset: address, proofs: list(SIGNED), lanes: list(LANE) }),
  };
  /** Reads a kit, and checks all that can be checked without a key or a chain. Throws {@link ExitError} `bad-kit`. */
  function readKit(text) {
    let kit;
    try {
      kit = JSON.parse(text);
    } catch {
      throw bad("it is not JSON; the file may be cut off");
    }
    if (kit?.format !== "farthing-exit-kit") throw bad("its format is not farthing-exit-kit");
    if (kit.version !== 2) throw bad(`its version is ${kit.version}; this program knows version 2`);
    check(kit, KIT, "kit");
    const { a, b } = kit.channel;
    const id = hashWords(kit.chainId, kit.contract, ...[a.owner, a.signer, b.owner, b.signer], kit.channel.challengePeriod, BigInt(kit.channel.salt));
    if (!same(id, kit.channelId)) throw bad("channelId is not that of the channel");
    const us = kit.us === 0 ? a : b;
    if (!same(us.owner, kit.owner)) throw bad("owner is not that of our side");

    const assets = kit.assets.map(({ asset, proofs, lanes }) => ({
      asset,
      proofs: proofs.map((proof) => ({ asset, ...proof })),
      lanes: [0, 1].map((payer) => readLane(lanes.find((lane) => lane.payer === payer), asset)),
    }));
    const read = { ...kit, us: kit.us, signer: us.signer, assets, evidence: [] };
    for (const { asset, proofs, lanes } of assets) {
      for (const proof of proofs) {
        const known = lanes[proof.payer].trees.has(proof.locksRoot.toLowerCase());
        if ((proof.locked === "0") !== same(proof.locksRoot, `0x${EMPTY[16]}`)) throw bad(`a proof of ${asset} has locks that don't fit its root`);
        if (proof.locked !== "0" && !known) throw bad(`the locks of a proof of ${asset} are missing`);
      }
    }
    const pieces = kit.transactions.flatMap(({ items }) => (items === undefined ? [] : [items]));
    read.evidence = pieces.flat().map((entry) => ({ ...entry, key: keyOf(entry) }));
    // The calldata that people send by hand must be what this program would send.
    const shown = assets.flatMap(({ proofs }) => proofs);
    const answers = shown.length > 0 ? chunks(shown, MOST.proofs) : [[]];
    const settled = chunks(assets.map(({ asset }) => asset), MOST.assets);
    const wanted = [
      ["startExit", shown.slice(0, MOST.proofs)],
      ...evidenceCalls(pieces.flat()).map((items) => [callFor("recordEvidence", items), items]),
      ...answers.map((proofs) => ["submitProofs", proofs]),
      ...settled.map((items) => [callFor("settle", items), items]),
    ].map(([call, items]) => [call, calls[call](read, items)]);
    const fits = wanted.length === kit.transactions.length
      && wanted.every(([call, data], index) => kit.transactions[index].call === call && same(kit.transactions[index].data, data));
    if (!fits) throw bad("its transactions are not those of its proofs");
    return read;
  }

  const same = (one, other) => one.toLowerCase() === other.toLowerCase();
  const keyOf = ({ condition, params, expiry }) => hashWords(condition, keccak256(params), expiry);

  /** Replays the trees of a lane: a map from root to `{ levels, locks }`. */
  function readLane(lane, asset) {
    const trees = new Map();
    const locks = new Map();
    for (const { root, remove, put } of lane?.trees ?? []) {
      for (const slot of remove) if (!locks.delete(slot)) throw bad(`a tree of ${asset} removes a lock that is not there`);
      for (const lock of put) locks.set(lock.slot, { ...lock, key: keyOf(lock) });
      const levels = treeOf(locks);
      if (!same(rootOf(levels), root)) throw bad(`the locks of ${asset} do not have the root ${root}`);
      trees.set(root.toLowerCase(), { levels, locks: new Map(locks) });
    }
    return { newest: lane?.newest ?? 0, trees };
  }

  /** The digests that must be signed, with who must have signed them: `[what, digest, signature, signer]`. */
  function signaturesOf(kit) {
    const type = (text) => keccak256(textBytes(text));
    const domain = hashWords(
      type("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
      type("Farthing"), type("1"), kit.chainId, kit.contract,
    );
    const digest = (structHash) => keccak256(`0x1901${domain.slice(2)}${structHash.slice(2)}`);
    const proofType = type(
      "BalanceProof(bytes32 channelId,address asset,uint8 payer,uint64 nonce,uint128 transferred,uint128 locked,bytes32 locksRoot,uint64 seen)",
    );
    const acknowledgementType = type("Acknowledgement(bytes32 channelId,address asset,uint8 payer,uint64 nonce,bytes32 proofHash)");
    const signers = [kit.channel.a.signer, kit.channel.b.signer];
    return kit.assets.flatMap(({ proofs }) => proofs).flatMap((proof) => {
      const { asset, payer, nonce, transferred, locked, locksRoot, seen } = proof;
      const what = `proof ${nonce} of side ${payer} in ${asset}`;
      const proofHash = hashWords(proofType, kit.channelId, asset, payer, nonce, BigInt(transferred), BigInt(locked), locksRoot, seen);
      const found = [[what, digest(proofHash), proof.signature, signers[payer]]];
      if (proof.acknowledgement !== "0x") {
        const structHash = hashWords(acknowledgementType, kit.channelId, asset, payer, nonce, proofHash);
        found.push([`acknowledgement of ${what}`, digest(structHash), proof.acknowledgement, signers[1 - payer]]);
      }
      return found;
    });
  }

  // --- the chain ----------------------------------------------------------------------------------------------------

  /** What the chain says of the channel, all at one block, by number or `latest`. `ask(method, params)` is JSON-RPC. */
  async function look(ask, kit, at = "latest") {
    const chainId = Number(await ask("eth_chainId", []));
    if (chainId !== kit.chainId) throw new ExitError("wrong-chain", `The RPC or wallet is on chain ${chainId}, the channel on chain ${kit.chainId}.`);
    const block = await ask("eth_getBlockByNumber", [at, false]);
    const code = await ask("eth_getCode", [kit.contract, block.number]);
    if (!code || code === "0x") throw new ExitError("wrong-chain", `There is no contract at ${kit.contract} on this chain.`);
    const view = async (name, ...values) => {
      const answer = await ask("eth_call", [{ to: kit.contract, data: SELECTORS[name] + words(...values) }, block.number]);
      const found = (answer ?? "0x").slice(2).match(/.{64}/g);
      if (!found) throw new ExitError("rpc-failed", `The RPC does not answer ${name}().`);
      return found.map((item) => BigInt(`0x${item}`));
    };
    const signed = (value) => BigInt.asIntN(256, value);
    const [endsAt] = await view("exitEndsAt", kit.channelId);
    const assets = [];
    for (const { asset, lanes } of kit.assets) {
      const [depositA, depositB, withdrawnA, withdrawnB, status] = await view("assetState", kit.channelId, asset);
      const nets = await view("netOf", kit.channelId, asset);
      const shown = [];
      for (const payer of [0, 1]) {
        const [nonce, acknowledged, transferred, locked, root] = await view("laneState", kit.channelId, asset, payer);
        const locksRoot = `0x${word(root)}`;
        const lane = { nonce: Number(nonce), acknowledged: acknowledged !== 0n, transferred, locked, locksRoot, locks: [] };
        const tree = locked > 0n ? lanes[payer].trees.get(locksRoot) : undefined;
        lane.missing = locked > 0n && tree === undefined;
        for (const lock of status === 2n && tree ? tree.locks.values() : []) {
          const [recorded] = await view("unitsOf", lock.key);
          const [units, returned] = await view("claimed", kit.channelId, asset, payer, lock.slot);
          lane.locks.push({ lock, recorded: Number(recorded), units: Number(units), returned: returned !== 0n });
        }
        shown.push(lane);
      }
      const held = depositA + depositB - withdrawnA - withdrawnB;
      assets.push({ asset, status: Number(status), held, deposited: depositA + depositB, net: signed(nets[kit.us]), left: nets[2], shown });
    }
    const evidence = [];
    for (const entry of kit.evidence) evidence.push(Number((await view("unitsOf", entry.key))[0]));
    return { number: Number(block.number), time: Number(block.timestamp), endsAt: Number(endsAt), assets, evidence };
  }

  const [OPEN, , SETTLED] = [0, 1, 2];
  const some = (items, what) => (items.length === 1 ? `a ${what}` : `${items.length} ${what}s`);

  /**
   * What to do now: `{ stage, actions, wait, warnings, locks }`. `actions` are calls that the contract takes now, `wait` is
   * `{ until, why }` if there will be more, in Unix seconds of the chain. Neither: it is over.
   */
  function next(kit, chain) {
    const actions = [];
    const waits = [];
    const warnings = [];
    const act = (call, title, data, more) => actions.push({ call, title, to: kit.contract, data, ...more });
    const open = kit.assets.filter((_, index) => chain.assets[index].status === OPEN && chain.assets[index].deposited > 0n);
    const settledOnes = chain.assets.some(({ status }) => status === SETTLED);
    const running = chain.endsAt > 0 && chain.time <= chain.endsAt;
    const isOver = chain.endsAt > 0 && !running;

    kit.assets.forEach(({ asset, lanes }, index) => {
      chain.assets[index].shown.forEach((lane, payer) => {
        if (lane.nonce > lanes[payer].newest) {
          const whose = payer === kit.us ? "you" : "the other side";
          warnings.push(`The chain shows proof ${lane.nonce} of what ${whose} paid in ${asset}; this kit knows only up to ${lanes[payer].newest}: it is older. If there is a newer kit, use it.`);
        }
        if (lane.missing && chain.assets[index].status === SETTLED) {
          warnings.push(`${lane.locked} base units of ${asset} stand in locks that this kit does not know: only a newer kit can claim them.`);
        }
      });
    });
    if (chain.endsAt === 0 && open.length > 0) {
      act("startExit", "start the exit", calls.startExit(kit, open.flatMap(({ proofs }) => proofs).slice(0, MOST.proofs)));
    }
    if (running) {
      const better = kit.assets.flatMap(({ proofs }, index) => {
        const { status, shown } = chain.assets[index];
        return status === OPEN ? proofs.filter(({ payer, nonce }) => nonce > shown[payer].nonce) : [];
      });
      for (const proofs of chunks(better, MOST.proofs)) {
        act("submitProofs", "show newer proofs than the chain has", calls.submitProofs(kit, proofs), { count: proofs.length });
      }
      if (open.length > 0) waits.push({ until: chain.endsAt, why: "the challenge period" });
    }
    if (open.length > 0 || settledOnes) {
      const due = kit.evidence.filter((entry, index) => chain.evidence[index] < entry.units && chain.time <= entry.expiry);
      for (const items of evidenceCalls(due)) {
        const call = callFor("recordEvidence", items);
        act(call, `record the evidence of ${some(items, "payment")} to you`, calls[call](kit, items), { count: items.length });
      }
    }
    if (isOver) {
      for (const items of chunks(open.map(({ asset }) => asset), MOST.assets)) {
        const call = callFor("settle", items);
        act(call, "pay out", calls[call](kit, items), { asset: items.length === 1 ? items[0] : undefined, count: items.length });
      }
    }

    let locks = 0;
    kit.assets.forEach(({ asset, lanes }, index) => {
      chain.assets[index].shown.forEach((lane, payer) => {
        const ours = payer === kit.us;
        const due = [];
        for (const { lock, recorded, units, returned } of lane.locks) {
          const proven = Math.max(0, Math.min(recorded, lock.n) - lock.redeemed);
          const rest = lock.n > lock.redeemed && !returned ? lock.n - lock.redeemed - proven : 0;
          if (ours ? rest > 0 && chain.time > lock.expiry : proven > units) {
            const worth = BigInt(lock.unitPrice) * BigInt(ours ? rest : proven - units);
            const { levels } = lanes[payer].trees.get(lane.locksRoot);
            due.push({ asset, payer, lock, siblings: siblingsOf(levels, lock.slot), worth });
            locks += 1;
          } else if (ours && rest > 0) {
            waits.push({ until: lock.expiry, why: "the expiry of a payment of yours that nobody has claimed" });
            locks += 1;
          }
        }
        // What brings most first.
        due.sort((one, other) => (one.worth < other.worth ? 1 : one.worth > other.worth ? -1 : one.lock.slot - other.lock.slot));
        for (const claims of chunks(due, MOST.claims)) {
          const call = callFor("claimLock", claims);
          const what = some(claims, "payment");
          const title = ours ? `take ${claims.length === 1 ? "an unclaimed payment" : `${claims.length} unclaimed payments`} of yours back` : `claim ${what} to you`;
          const worth = claims.reduce((sum, claim) => sum + claim.worth, 0n);
          act(call, title, calls[call](kit, claims), { asset, count: claims.length, worth });
        }
      });
    });
    const wait = waits.sort((one, other) => one.until - other.until)[0];
    const stage =
      open.length > 0 ? (chain.endsAt === 0 ? "start" : running ? "challenge" : "settle") : locks > 0 ? "claim" : settledOnes ? "done" : "nothing";
    return { stage, actions, wait, warnings, locks, incomplete: chain.assets.some(({ shown, status }) => status === SETTLED && shown.some(({ missing }) => missing)) };
  }

  // --- credits ------------------------------------------------------------------------------------------------------

  /** What could not be paid to the owner and is kept by the contract: `[{ asset, amount }]`. */
  async function credits(ask, kit) {
    const found = [];
    for (const { asset } of kit.assets) {
      const data = selector("credit(address,address)") + words(asset, kit.owner);
      const answer = await ask("eth_call", [{ to: kit.contract, data }, "latest"]);
      if (!/^0x[0-9a-fA-F]{64}$/.test(answer ?? "")) throw new ExitError("rpc-failed", "The RPC does not answer credit().");
      if (BigInt(answer) > 0n) found.push({ asset, amount: BigInt(answer) });
    }
    return found;
  }

  /** The call that fetches a credit, by anybody to the owner, or by the owner to another account. `salt` is 32 random bytes. */
  function creditCall(kit, { asset, amount }, recipient, salt) {
    const about = { to: kit.contract, asset, worth: amount };
    if (recipient === undefined || same(recipient, kit.owner)) {
      const data = selector("payCredit(address,address,uint256)") + words(asset, kit.owner, amount);
      return { call: "payCredit", title: "fetch what could not be paid out", data, ...about };
    }
    const order = words(asset, kit.owner, recipient, amount, salt, 0);
    const data = selector("redirectCredit((address,address,address,uint256,bytes32,uint64),bytes)") + order + words(224, 0);
    return { call: "redirectCredit", title: `send what could not be paid out to ${recipient}`, data, ...about };
  }

  globalThis.farthingExit = { keccak256, bytesOf, hexOf, readKit, signaturesOf, look, next, credits, creditCall, selector, ExitError };
})();
