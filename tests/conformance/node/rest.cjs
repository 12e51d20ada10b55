// Every REST call of npm's bitvavo, unmodified.
'use strict'

const { given, check, broken, signed, leaveBusy, good } = require('./report.cjs')

const MARKET = 'BTC-EUR'
const OPERATOR = 1001
const client = require('bitvavo')().options({
  APIKEY: given.key,
  APISECRET: given.secret,
  RESTURL: given.rest,
  WSURL: given.ws,
})

async function publicCalls() {
  await check('time', () => client.time(), (found) => good.ms(found.time))
  await check('markets', () => client.markets(), good.some(good.market))
  await check('markets, one', () => client.markets({ market: MARKET }), good.market)
  await check('assets', () => client.assets(), good.some(good.asset))
  await check('assets, one', () => client.assets({ symbol: 'BTC' }), good.asset)
  await check('book', () => client.book(MARKET, { depth: 5 }), (found) => good.book(found) && found.bids.length === 5)
  await check('publicTrades', () => client.publicTrades(MARKET, { limit: 5 }), good.some(good.trade))
  await check('candles', () => client.candles(MARKET, '1h', { limit: 3 }), good.some(good.candle))
  await check('tickerPrice', () => client.tickerPrice(), good.some((row) => Number(row.price) > 0))
  await check('tickerBook', () => client.tickerBook({ market: MARKET }), good.best)
  await check('ticker24h', () => client.ticker24h(), good.some(good.day))
  await check('ticker24h, one', () => client.ticker24h({ market: MARKET }), good.day)
  await check('getRemainingLimit', async () => client.getRemainingLimit(), (left) => left >= 1000)
  await check('an error is thrown', () => client.book('NOPE-EUR').catch((error) => error), (error) => /NOPE/.test(error))
}

async function orders() {
  const body = { amount: '0.001', price: '40000', operatorId: OPERATOR }
  const placed = await check('placeOrder, limit', () => client.placeOrder(MARKET, 'buy', 'limit', { ...body }), (row) => good.order(row))
  const cost = { amountQuote: '50', operatorId: OPERATOR }
  await check('placeOrder, market', () => client.placeOrder(MARKET, 'buy', 'market', cost), good.filled)
  await check('getOrder', () => client.getOrder(MARKET, placed.orderId), (row) => good.order(row))
  const change = { price: '40001', operatorId: OPERATOR }
  await check('updateOrder', () => client.updateOrder(MARKET, placed.orderId, change), (row) => row.price === '40001')
  await check('getOrders', () => client.getOrders(MARKET), (rows) => rows.length === 2)
  await check('ordersOpen', () => client.ordersOpen({ market: MARKET }), (rows) => rows.length === 1)
  await check('trades', () => client.trades(MARKET), good.some(good.ownTrade))
  await leaveBusy()
  const refused = await client.cancelOrder(MARKET, placed.orderId).catch((error) => error)
  const target = `/order?market=${MARKET}&orderId=${placed.orderId}&operatorId=${OPERATOR}`
  const canceled = await signed('DELETE', target)
  broken('cancelOrder', 'cannot send operatorId', /operatorId/.test(refused), canceled.orderId === placed.orderId)
  await client.placeOrder(MARKET, 'buy', 'limit', { ...body })
  await check('cancelOrders', () => client.cancelOrders({ market: MARKET, operatorId: OPERATOR }), (rows) => rows.length === 1)
}

async function account() {
  await check('account', () => client.account(), (found) => good.rates(found.fees))
  await check('fees', () => client.fees(), good.rates)
  await check('fees, one', () => client.fees(MARKET), good.rates)
  await check('balance', () => client.balance(), good.balances)
  await check('depositAssets', () => client.depositAssets('BTC'), (found) => found.address.length > 0)
  await check('withdrawAssets', () => client.withdrawAssets('BTC', '0.01', 'loopback0address0of0nobody'), (found) => found.success)
  await check('depositHistory', () => client.depositHistory(), good.some((row) => good.ms(row.timestamp)))
  await check('withdrawalHistory', () => client.withdrawalHistory(), Array.isArray)
  await check('trades, by callback', () => new Promise((done) => client.trades(MARKET, {}, (_, rows) => done(rows))), good.some(good.ownTrade))
}

publicCalls().then(orders).then(account).then(() => process.exit(0))
