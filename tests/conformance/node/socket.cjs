// Every WebSocket call of npm's bitvavo, unmodified.
'use strict'

const { given, check, broken, signed, leaveBusy, good } = require('./report.cjs')

const MARKET = 'BTC-EUR'
const OPERATOR = 1001
const PATIENCE_MS = 8000
const client = require('bitvavo')().options({
  APIKEY: given.key,
  APISECRET: given.secret,
  RESTURL: given.rest,
  WSURL: given.ws,
})
const emitter = client.getEmitter()
emitter.on('error', () => undefined)

const patient = (promise) =>
  Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error('no answer')), PATIENCE_MS))])
const ask = (event, send) => patient(new Promise((done) => (emitter.once(event, done), send())))
const hear = (subscribe) => patient(new Promise((done) => subscribe(done)))

async function publicCalls() {
  const socket = client.websocket
  await check('time', () => ask('time', () => socket.time()), (found) => good.ms(found.time))
  await check('markets', () => ask('markets', () => socket.markets()), good.some(good.market))
  await check('assets', () => ask('assets', () => socket.assets()), good.some(good.asset))
  await check('book', () => ask('book', () => socket.book(MARKET, { depth: 5 })), good.book)
  await check('publicTrades', () => ask('publicTrades', () => socket.publicTrades(MARKET)), good.some(good.trade))
  await check('candles', () => ask('candles', () => socket.candles(MARKET, '1h')), good.some(good.candle))
  await check('ticker24h', () => ask('ticker24h', () => socket.ticker24h()), good.some(good.day))
  await check('tickerPrice', () => ask('tickerPrice', () => socket.tickerPrice({ market: MARKET })), (row) => Number(row.price) > 0)
  await check('tickerBook', () => ask('tickerBook', () => socket.tickerBook({ market: MARKET })), good.best)
}

async function channels() {
  const socket = client.websocket
  const changed = (event) => event.bestBid || event.bestAsk || event.lastPrice
  await check('subscriptionTicker', () => hear((done) => socket.subscriptionTicker(MARKET, done)), changed)
  await check('subscriptionTicker24h', () => hear((done) => socket.subscriptionTicker24h(MARKET, done)), good.day)
  await check('subscriptionTrades', () => hear((done) => socket.subscriptionTrades(MARKET, done)), good.trade)
  const candle = (event) => good.candle(event.candle[0])
  await check('subscriptionCandles', () => hear((done) => socket.subscriptionCandles(MARKET, '1m', done)), candle)
  const delta = (event) => event.nonce > 0 && event.bids.length + event.asks.length > 0
  await check('subscriptionBookUpdates', () => hear((done) => socket.subscriptionBookUpdates(MARKET, done)), delta)
  const nonces = []
  const moving = (done) => socket.subscriptionBook(MARKET, (book) => nonces.push(book.nonce) > 5 && done(book))
  await check('subscriptionBook', () => hear(moving), (book) => good.book(book) && nonces.every((n, i) => !i || n > nonces[i - 1]))
}

async function privateCalls() {
  const socket = client.websocket
  const heard = []
  await socket.subscriptionAccount(MARKET, (event) => heard.push(event.event))
  const body = { amount: '0.001', price: '40000', operatorId: OPERATOR }
  const place = (more) => ask('placeOrder', () => socket.placeOrder(MARKET, 'buy', 'limit', { ...body, ...more }))
  const placed = await check('placeOrder, limit', () => place(), (row) => good.order(row))
  const market = { amount: '0.001', operatorId: OPERATOR }
  await check('placeOrder, market', () => ask('placeOrder', () => socket.placeOrder(MARKET, 'buy', 'market', market)), good.filled)
  await new Promise((done) => setTimeout(done, 300))
  await check('subscriptionAccount', async () => heard, (names) => names.includes('order') && names.includes('fill'))
  await check('getOrder', () => ask('getOrder', () => socket.getOrder(MARKET, placed.orderId)), (row) => good.order(row))
  const change = { price: '40001', operatorId: OPERATOR }
  await check('updateOrder', () => ask('updateOrder', () => socket.updateOrder(MARKET, placed.orderId, change)), (row) => row.price === '40001')
  await check('getOrders', () => ask('getOrders', () => socket.getOrders(MARKET)), (rows) => rows.length === 2)
  await check('ordersOpen', () => ask('ordersOpen', () => socket.ordersOpen()), (rows) => rows.length === 1)
  await check('trades', () => ask('trades', () => socket.trades(MARKET)), good.some(good.ownTrade))
  await leaveBusy()
  const refused = await ask('error', () => socket.cancelOrder(MARKET, placed.orderId))
  const canceled = await signed('DELETE', `/order?market=${MARKET}&orderId=${placed.orderId}&operatorId=${OPERATOR}`)
  broken('cancelOrder', 'cannot send operatorId', /operatorId/.test(refused.error), canceled.orderId === placed.orderId)
  await place()
  await check('cancelOrders', () => ask('cancelOrders', () => socket.cancelOrders({ market: MARKET, operatorId: OPERATOR })), (rows) => rows.length === 1)
}

async function account() {
  const socket = client.websocket
  await check('account', () => ask('account', () => socket.account()), (found) => good.rates(found.fees))
  await check('fees', () => ask('fees', () => socket.fees(MARKET)), good.rates)
  await check('balance', () => ask('balance', () => socket.balance()), good.balances)
  await check('depositAssets', () => ask('depositAssets', () => socket.depositAssets('BTC')), (found) => found.address.length > 0)
  await check('withdrawAssets', () => ask('withdrawAssets', () => socket.withdrawAssets('BTC', '0.01', 'loopback0address0of0nobody')), (found) => found.success)
  await check('depositHistory', () => ask('depositHistory', () => socket.depositHistory()), good.some((row) => good.ms(row.timestamp)))
  await check('withdrawalHistory', () => ask('withdrawalHistory', () => socket.withdrawalHistory()), Array.isArray)
  await check('an error is emitted', () => ask('error', () => socket.book('NOPE-EUR')), (error) => error.errorCode === 205)
  await socket.unsubscribe(MARKET, 'book')
  await check('unsubscribe', () => ask('time', () => socket.time()), (found) => good.ms(found.time))
}

publicCalls().then(channels).then(privateCalls).then(account).then(() => process.exit(0))
