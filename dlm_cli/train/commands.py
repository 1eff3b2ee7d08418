"""`dlm train`: the group of its commands."""

from __future__ import annotations

from dlm_cli.help import group
from dlm_cli.memory import keep_freed_memory
from dlm_cli.train import all as whole
from dlm_cli.train import control, init, lm, teacher, writer

app = group("Train a Diffusion-LM, its writer, a control's head, or a teacher.")
app.callback()(keep_freed_memory)
app.command("init", epilog=init.EPILOG)(init.train_init)
app.command("all", epilog=whole.EPILOG)(whole.train_all)
app.command("lm", epilog=lm.EPILOG)(lm.train_lm)
app.command("control", epilog=control.EPILOG)(control.train_control)
app.command("writer", epilog=writer.EPILOG)(writer.train_writer)
app.command("teacher", epilog=teacher.EPILOG)(teacher.train_teacher)
