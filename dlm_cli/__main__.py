from dlm_cli.app import app

app()
