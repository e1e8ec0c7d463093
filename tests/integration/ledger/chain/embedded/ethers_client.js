// What a wallet or a site does on a grid, with ethers as it is published: told on standard input where and as
// whom, it says on standard output what it saw. Run by test_outside_clients.py.
"use strict";
globalThis.crypto ??= require("node:crypto").webcrypto; // node 18 keeps it there
const asked = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const ethers = require(asked.ethers);
const WebSocket = require(asked.ws);

async function main() {
  const http = new ethers.JsonRpcProvider(asked.url, undefined, { pollingInterval: 50 });
  const socket = new ethers.WebSocketProvider(() => new WebSocket(asked.url.replace("http", "ws")));
  const wallet = new ethers.NonceManager(new ethers.Wallet(asked.key, http));
  const account = await wallet.getAddress();
  const token = new ethers.Contract(asked.token, asked.tokenAbi, wallet);
  const market = new ethers.Contract(asked.market, asked.marketAbi, wallet);

  for (const hash of (await http.send("bingwang_faucet", [account])).transactions) {
    await http.waitForTransaction(hash);
  }
  const balances = [await http.getBalance(account), await token.balanceOf(account)];

  const heads = [];
  const distant = market.connect(socket);
  let tell;
  const heard = new Promise((resolve) => (tell = resolve));
  await distant.on(distant.filters.Deposited(account), ({ args, log }) =>
    tell({ who: args.account, amount: args.amount, transaction: log.transactionHash }),
  );
  await socket.on("block", (number) => heads.push(number));
  await socket.getBlockNumber(); // what was asked before is answered before: both subscriptions stand

  await (await token.approve(asked.market, 1000)).wait();
  const deposit = await (await market.deposit(700)).wait();
  const offer = await (await market.registerOffer(asked.offer)).wait();
  const registered = await market.queryFilter(market.filters.OfferRegistered(null, account), 0, "latest");
  const deposited = await market.queryFilter(market.filters.Deposited(account), 0, "latest");
  let refusal = null;
  try {
    await market.withdraw(10n ** 20n);
  } catch (error) {
    refusal = { code: error.code, reason: error.reason };
  }
  const block = await http.getBlock(deposit.blockNumber, true);
  const trace = await http.send("debug_traceTransaction", [deposit.hash, { tracer: "callTracer" }]);
  const seen = {
    account,
    balances,
    heard: await heard,
    heads: heads.length,
    deposit: { status: deposit.status, hash: deposit.hash, logs: deposit.logs.length },
    offer: {
      status: offer.status,
      id: registered[0].args.offer,
      digest: await market.offerDigest(asked.offer),
      flags: await market.offerFlags(registered[0].args.offer),
    },
    deposited: deposited.map((log) => log.args.amount),
    held: await market.balanceOf(account),
    refusal,
    found: block.prefetchedTransactions.map((transaction) => transaction.hash),
    nonce: await http.getTransactionCount(account),
    fees: await http.getFeeData(),
    trace: { type: trace.type, to: trace.to, calls: trace.calls.length },
    finalized: (await http.getBlock("finalized")).number,
  };
  await socket.destroy();
  http.destroy();
  return JSON.stringify(seen, (_, value) => (typeof value === "bigint" ? value.toString() : value));
}

main().then(
  (seen) => process.stdout.write(seen),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
