import asyncio, sys
import tests.e2e.test_kill_switch as k
async def test_probe(stage):
    for n in (32,16):
        k.CALLERS = n
        async with stage.caller() as caller:
            async with k.load(stage, caller):
                await asyncio.sleep(.5)
                t0=__import__("time").time(); before=len(stage.truth.rows("SELECT 1 FROM trade_executions"))
                p = await asyncio.create_subprocess_exec(sys.executable, "/tmp/probe/op.py", stage.system.trade[0].address, stdout=-1)
                out,_=await p.communicate()
                print("callers", n, "rate %.0f/s" % ((len(stage.truth.rows("SELECT 1 FROM trade_executions"))-before)/(__import__("time").time()-t0))); print(out.decode())
                open('/tmp/probe/top','a').write(__import__('subprocess').run(['top','-bn1'],capture_output=True,text=True).stdout[:2500])
