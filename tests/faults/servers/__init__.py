"""The servers under test: ours with a changed limit or a fault, and stock FastAPI and uvicorn to compare with."""
